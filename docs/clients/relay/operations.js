// What relay-compiler compiles. In an application each stands beside the component that uses it, and a plugin of the
// build tool puts the artefact in its place.

import { graphql } from 'relay-runtime';

export const inspections = graphql`
  query operationsInspectionsQuery {
    head {
      cursor
    }
    ...operationsInspections
  }
`;

// Its pages are asked for by a query that the compiler makes of it.
export const page = graphql`
  fragment operationsInspections on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "operationsInspectionsPageQuery") {
    inspections(first: $count, after: $cursor, orderBy: { field: CREATED_AT, direction: ASC })
      @connection(key: "operations_inspections") {
      edges {
        node {
          ...operationsInspection
        }
      }
    }
  }
`;

export const inspection = graphql`
  fragment operationsInspection on Inspection {
    vendor
    externalId
    status
  }
`;

// By the interface `Node`, as Relay asks anew for whatever has an id.
export const again = graphql`
  fragment operationsInspectionAgain on Inspection @refetchable(queryName: "operationsInspectionAgainQuery") {
    ...operationsInspection
  }
`;

export const changed = graphql`
  subscription operationsChangedSubscription($after: String) {
    inspectionChanged(after: $after) {
      cursor
      position
      toStatus
      inspection {
        id
        ...operationsInspection
      }
    }
  }
`;
