// The input of relay-compiler. In an application each is beside the component that uses it, and a plugin of the
// build tool inserts the artefact.

import { graphql } from 'relay-runtime';

export const inspections = graphql`
  query operationsInspectionsQuery {
    head {
      cursor
    }
    ...operationsInspections
  }
`;

// The compiler generates the query for its pages.
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

// By the interface `Node`, as Relay refetches any object with an id.
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
