// Apollo Client 4: a list page by page, an error, and a subscription that goes on where it was cut off.
//
//     node apollo/example.js [http://127.0.0.1:8080 [multipart]]
//
// With `multipart`, subscriptions come as the parts of an HTTP response: where WebSockets do not get through.

import {
  ApolloClient,
  ApolloLink,
  CombinedGraphQLErrors,
  CombinedProtocolErrors,
  HttpLink,
  InMemoryCache,
  gql,
} from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { createClient } from 'graphql-ws';
import { createHash } from 'node:crypto';
import { defer, filter, firstValueFrom, retry, throwError, timer } from 'rxjs';
import WebSocket from 'ws';

// Browsers, and Node from version 22 on, have one of their own.
globalThis.WebSocket ??= WebSocket;

const [hub = 'http://127.0.0.1:8080', transport] = process.argv.slice(2);

const http = new HttpLink({ uri: `${hub}/graphql` });
// Left alone, graphql-ws would subscribe again with the cursor of the beginning: `retry` below does it better.
const webSocket = () =>
  new GraphQLWsLink(createClient({ url: `${hub.replace('http', 'ws')}/graphql`, retryAttempts: 0 }));

const client = new ApolloClient({
  // `fetchMore` adds to the list that is there; the filter and the order tell lists apart.
  cache: new InMemoryCache({
    typePolicies: { Query: { fields: { inspections: relayStylePagination(['filter', 'orderBy']) } } },
  }),
  link: ApolloLink.split(
    ({ operationType }) => operationType === 'subscription',
    transport === 'multipart' ? http : webSocket(),
    // By GET, with the digest of the query in its place; the whole query only where the hub does not know it yet.
    new PersistedQueryLink({
      sha256: (query) => createHash('sha256').update(query).digest('hex'),
      useGETForHashedQueries: true,
    }).concat(http),
  ),
});

const INSPECTIONS = gql`
  query Inspections($after: String) {
    head {
      cursor
    }
    inspections(first: 20, after: $after, orderBy: { field: CREATED_AT, direction: ASC }) {
      edges {
        node {
          id
          vendor
          externalId
          status
        }
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
const list = client.watchQuery({ query: INSPECTIONS });
const { data } = await firstValueFrom(list.pipe(filter(({ dataState }) => dataState === 'complete')));
let { cursor } = data.head;
let { pageInfo } = data.inspections;
while (pageInfo.hasNextPage) {
  const page = await list.fetchMore({ variables: { after: pageInfo.endCursor } });
  ({ pageInfo } = page.data.inspections);
}
for (const { node } of client.readQuery({ query: INSPECTIONS }).inspections.edges) {
  console.log('inspection', node.vendor, node.externalId, node.status);
}

try {
  await client.query({ query: INSPECTIONS, variables: { after: 'nonsense' }, fetchPolicy: 'no-cache' });
} catch (error) {
  if (!CombinedGraphQLErrors.is(error)) throw error;
  console.log('error', error.errors[0].extensions.code);
}

// Each change also brings the inspection up to date in the cache, and so in every list that shows it.
defer(() => client.subscribe({ query: CHANGED, variables: { after: cursor } }))
  .pipe(
    filter(({ error }) => {
      if (error) throw error;
      return true;
    }),
    retry({ delay: (error) => (isFinal(error) ? throwError(() => error) : timer(500)) }),
  )
  .subscribe(({ data: { inspectionChanged: change } }) => {
    console.log('change', change.position, change.inspection.vendor, change.inspection.externalId, change.toStatus);
    cursor = change.cursor;
  });

// Whoever was cut off for being slow goes on; for any other error of the hub's, trying again does not help.
// What ends a subscription over HTTP is an error of its protocol; one of a field is the same over both.
function isFinal(error) {
  const isOfHub = CombinedGraphQLErrors.is(error) || CombinedProtocolErrors.is(error);
  return isOfHub && error.errors[0].extensions?.code !== 'SLOW_CONSUMER';
}
