// Apollo Client 4: a list page by page, an error, and a subscription that resumes after an interruption.
//
//     node apollo/example.js [http://127.0.0.1:8080 [multipart]]
//
// With `multipart`, subscriptions arrive as parts of an HTTP response: for networks that block WebSockets.

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

// Browsers, and Node from version 22 on, have one built in.
globalThis.WebSocket ??= WebSocket;

const [hub = 'http://127.0.0.1:8080', transport] = process.argv.slice(2);

const http = new HttpLink({ uri: `${hub}/graphql` });
// By default graphql-ws subscribes again with the first cursor; `retry` below uses the newest one.
const webSocket = () =>
  new GraphQLWsLink(createClient({ url: `${hub.replace('http', 'ws')}/graphql`, retryAttempts: 0 }));

const client = new ApolloClient({
  // `fetchMore` appends to the existing list; filter and order identify a list.
  cache: new InMemoryCache({
    typePolicies: { Query: { fields: { inspections: relayStylePagination(['filter', 'orderBy']) } } },
  }),
  link: ApolloLink.split(
    ({ operationType }) => operationType === 'subscription',
    transport === 'multipart' ? http : webSocket(),
    // By GET, with the query's hash instead of its text; the text only if the hub does not know it yet.
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

// The cursor of the first page: changes during the other pages arrive by the subscription.
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

// Each change also updates the inspection in the cache, and so in every list that shows it.
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

// Resume after SLOW_CONSUMER; for any other error of the hub, a retry does not help.
// An error that ends a subscription over HTTP is a protocol error; errors of fields are the same over both.
function isFinal(error) {
  const isOfHub = CombinedGraphQLErrors.is(error) || CombinedProtocolErrors.is(error);
  return isOfHub && error.errors[0].extensions?.code !== 'SLOW_CONSUMER';
}
