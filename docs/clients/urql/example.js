// urql: a list page by page, an error, and a subscription that goes on where it was cut off.
//
//     node urql/example.js [http://127.0.0.1:8080]

import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import { setTimeout } from 'node:timers/promises';
import { pipe, toAsyncIterable } from 'wonka';
import WebSocket from 'ws'; // Browsers, and Node from version 22 on, have one of their own.

const hub = process.argv[2] ?? 'http://127.0.0.1:8080';

// Left alone, graphql-ws would subscribe again with the cursor of the beginning: the loop below does it better.
const socket = createClient({
  url: `${hub.replace('http', 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  retryAttempts: 0,
});

const client = new Client({
  url: `${hub}/graphql`,
  // What fits into a URL goes by GET, which caches on the way understand; this is what urql does anyway.
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

// The cursor stands where the first page was read: what changes while the others are read comes by the subscription.
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

// Whoever was cut off for being slow goes on; for any other error of the hub's, trying again does not help.
function isFinal({ graphQLErrors: [first] }) {
  return first !== undefined && first.extensions.code !== 'SLOW_CONSUMER';
}
