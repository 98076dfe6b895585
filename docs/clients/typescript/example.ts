// TypeScript with the types of GraphQL Code Generator, on `fetch` and graphql-ws alone: a list page by page, an error,
// and a subscription that resumes after an interruption.
//
//     npm run --silent typescript [http://127.0.0.1:8080]

import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { createClient } from 'graphql-ws';
import { setTimeout } from 'node:timers/promises';
import WebSocket from 'ws'; // Browsers, and Node from version 22 on, have one built in.
import { ChangedDocument, InspectionsDocument, type ChangedSubscription } from './generated/operations.js';

const hub = process.argv[2] ?? 'http://127.0.0.1:8080';

/** An error of the hub. */
interface Fault {
  message: string;
  extensions?: { code?: string; hint?: string };
}

class HubError extends Error {
  constructor(readonly faults: readonly Fault[]) {
    super(faults.map(({ message }) => message).join('; '));
  }
  get code(): string | undefined {
    return this.faults[0]?.extensions?.code;
  }
}

async function ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
  const response = await fetch(`${hub}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = (await response.json()) as { data?: Data | null; errors?: Fault[] };
  if (errors || !data) throw new HubError(errors ?? [{ message: `answered ${response.status}` }]);
  return data;
}

// The cursor of the first page: changes during the other pages arrive by the subscription.
let cursor: string | undefined;
for (let after: string | null = null, more = true; more; ) {
  const { head, inspections }: Awaited<ReturnType<typeof page>> = await page(after);
  cursor ??= head.cursor;
  for (const { vendor, externalId, status } of inspections.nodes) {
    console.log('inspection', vendor, externalId, status);
  }
  ({ endCursor: after, hasNextPage: more } = inspections.pageInfo);
}

function page(after: string | null) {
  return ask(InspectionsDocument, { after });
}

try {
  await page('nonsense');
} catch (error) {
  if (!(error instanceof HubError)) throw error;
  console.log('error', error.code);
}

// By default graphql-ws subscribes again with the first cursor; the loop uses the newest one.
const socket = createClient({
  url: `${hub.replace('http', 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  retryAttempts: 0,
});

for (;;) {
  try {
    const query = print(ChangedDocument);
    for await (const { data, errors } of socket.iterate<ChangedSubscription>({ query, variables: { after: cursor } })) {
      if (errors || !data) throw errors;
      const { position, inspection, toStatus } = data.inspectionChanged;
      console.log('change', position, inspection?.vendor, inspection?.externalId, toStatus);
      cursor = data.inspectionChanged.cursor;
    }
  } catch (error) {
    // A list is the hub's error, anything else the connection's end. Resume after SLOW_CONSUMER; for
    // any other error of the hub, a retry does not help.
    const fault = Array.isArray(error) ? new HubError(error) : undefined;
    if (fault && fault.code !== 'SLOW_CONSUMER') throw fault;
  }
  await setTimeout(500);
}
