// urql: a list page by page, an error, and a subscription that resumes after an interruption.
//
//     node urql/example.js [http://127.0.0.1:8080]

import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import { setTimeout } from 'node:timers/promises';
import { pipe, toAsyncIterable } from 'wonka';
import WebSocket from 'ws'; // Browsers, and Node from version 22 on, have one built in.

const hub = process.argv[2] ?? 'http://127.0.0.1:8080';

// By default graphql-ws subscribes again with the first cursor; the loop below uses the newest one.
const socket = createClient({
  url: `${hub.replace('http', 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  retryAttempts: 0,
});

const client = new Client({
  url: `${hub}/graphql`,
  // Short queries use GET, which HTTP caches understand; this is urql's default.
  preferGetMethod: 'within-url-limit',
  exchanges: [
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query, variables }) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
      }),
    }),
  ],
});

const INSPECTIONS = gql`
  query Inspections($after: String) {
    head {
      cursor
    }
    inspections(first: 20, after: $after, orderBy: { field: CREATED_AT, direction: ASC }) {
      nodes {
        id
        vendor
        externalId
        status
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;

const CHANGED = gql`
  subscription Changed($after: String) {
    inspectionChanged(after: $after) {
      cursor
      position
      toStatus
      inspection {
        id
        vendor
        externalId
        status
      }
    }
  }
`;

// The cursor of the first page: changes during the other pages arrive by the subscription.
let cursor;
for (let after = null, more = true; more; ) {
  const { data, error } = await client.query(INSPECTIONS, { after });
  if (error) throw error;
  cursor ??= data.head.cursor;
  for (const { vendor, externalId, status } of data.inspections.nodes) {
    console.log('inspection', vendor, externalId, status);
  }
  ({ endCursor: after, hasNextPage: more } = data.inspections.pageInfo);
}

const { error } = await client.query(INSPECTIONS, { after: 'nonsense' });
console.log('error', error.graphQLErrors[0].extensions.code);

for (;;) {
  for await (const { data, error } of pipe(client.subscription(CHANGED, { after: cursor }), toAsyncIterable)) {
    if (error && isFinal(error)) throw error;
    if (error) break;
    const { position, inspection, toStatus } = data.inspectionChanged;
    console.log('change', position, inspection.vendor, inspection.externalId, toStatus);
    cursor = data.inspectionChanged.cursor;
  }
  await setTimeout(500);
}

// Resume after SLOW_CONSUMER; for any other error of the hub, a retry does not help.
function isFinal({ graphQLErrors: [first] }) {
  return first !== undefined && first.extensions.code !== 'SLOW_CONSUMER';
}
