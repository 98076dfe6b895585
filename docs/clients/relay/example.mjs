// Relay without React: a list page by page, an error, and a subscription that resumes after an interruption.
//
//     npm run --silent relay [http://127.0.0.1:8080]

import { createClient } from 'graphql-ws';
import { setTimeout } from 'node:timers/promises';
import runtime from 'relay-runtime';
import WebSocket from 'ws'; // Browsers, and Node from version 22 on, have one built in.
import INSPECTION from './__generated__/operationsInspection.graphql.js';
import INSPECTIONS from './__generated__/operationsInspectionsQuery.graphql.js';
import LIST from './__generated__/operationsInspections.graphql.js';
import PAGE from './__generated__/operationsInspectionsPageQuery.graphql.js';
import AGAIN from './__generated__/operationsInspectionAgainQuery.graphql.js';
import CHANGED from './__generated__/operationsChangedSubscription.graphql.js';

const { Environment, Network, Observable, RecordSource, Store, fetchQuery, getSingularSelector, requestSubscription } =
  runtime;
const hub = process.argv[2] ?? 'http://127.0.0.1:8080';

class HubError extends Error {
  constructor(errors) {
    super(errors.map(({ message }) => message).join('; '));
    this.code = errors[0].extensions?.code;
  }
}

// By GET, which HTTP caches understand: the hub answers 304 while nothing has changed.
async function ask({ text }, variables) {
  const parameters = new URLSearchParams({ query: text, variables: JSON.stringify(variables) });
  const response = await fetch(`${hub}/graphql?${parameters}`, {
    headers: { accept: 'application/graphql-response+json' },
  });
  const answer = await response.json();
  if (answer.errors) throw new HubError(answer.errors);
  return answer;
}

// By default graphql-ws subscribes again with the first cursor; the loop below uses the newest one.
const socket = createClient({
  url: `${hub.replace('http', 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  retryAttempts: 0,
});

function listen({ text }, variables) {
  return Observable.create((sink) =>
    socket.subscribe(
      { query: text, variables },
      {
        next: sink.next,
        complete: sink.complete,
        error: (error) => sink.error(Array.isArray(error) ? new HubError(error) : new Error('the connection ended')),
      },
    ),
  );
}

const environment = new Environment({
  network: Network.create(ask, listen),
  store: new Store(new RecordSource()),
});

const query = (artefact, variables) => fetchQuery(environment, artefact, variables).toPromise();
const fragment = (artefact, reference) => environment.lookup(getSingularSelector(artefact, reference)).data;

// The cursor of the first page: changes during the other pages arrive by the subscription.
const root = await query(INSPECTIONS, {});
let { cursor } = root.head;
let { edges, pageInfo } = fragment(LIST, root).inspections;
while (pageInfo.hasNextPage) {
  // The store appends the page to the existing list.
  await query(PAGE, { cursor: pageInfo.endCursor });
  ({ edges, pageInfo } = fragment(LIST, root).inspections);
}
for (const { node } of edges) {
  const { vendor, externalId, status } = fragment(INSPECTION, node);
  console.log('inspection', vendor, externalId, status);
}

try {
  await query(PAGE, { cursor: 'nonsense' });
} catch (error) {
  if (!(error instanceof HubError)) throw error;
  console.log('error', error.code);
}

// By the interface `Node`: refetch one inspection.
const [{ node: first }] = edges;
await query(AGAIN, { id: first.__id });
console.log('again', fragment(INSPECTION, first).externalId);

for (;;) {
  try {
    await new Promise((onCompleted, onError) => {
      requestSubscription(environment, {
        subscription: CHANGED,
        variables: { after: cursor },
        onNext: ({ inspectionChanged: { cursor: newest, position, inspection, toStatus } }) => {
          const { vendor, externalId } = fragment(INSPECTION, inspection);
          console.log('change', position, vendor, externalId, toStatus);
          cursor = newest;
        },
        onCompleted,
        onError,
      });
    });
  } catch (error) {
    // Resume after SLOW_CONSUMER; for any other error of the hub, a retry does not help.
    if (error instanceof HubError && error.code !== 'SLOW_CONSUMER') throw error;
  }
  await setTimeout(500);
}
