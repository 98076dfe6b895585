// A board as a Relay application writes it: a page of inspections that goes on, and each card's own history.
import { graphql } from "relay-runtime";

export const card = graphql`
  fragment boardCard on Inspection {
    id
    status
    updatedAt
    position
    subject {
      vehicle {
        vin
      }
    }
  }
`;

export const list = graphql`
  fragment boardList on Query
  @argumentDefinitions(
    first: { type: "Int", defaultValue: 25 }
    after: { type: "String" }
    filter: { type: "InspectionFilter" }
  )
  @refetchable(queryName: "boardListPageQuery") {
    inspections(first: $first, after: $after, filter: $filter) @connection(key: "board_inspections", filters: ["filter"]) {
      totalCount
      edges {
        node {
          ...boardCard
        }
      }
    }
  }
`;

export const history = graphql`
  fragment boardHistory on Inspection
  @argumentDefinitions(last: { type: "Int", defaultValue: 10 }, before: { type: "String" })
  @refetchable(queryName: "boardHistoryPageQuery") {
    history(last: $last, before: $before) @connection(key: "boardHistory_history") {
      edges {
        node {
          position
          verdict
          reason
        }
      }
    }
  }
`;

export const board = graphql`
  query boardQuery($filter: InspectionFilter) {
    ...boardList @arguments(filter: $filter)
    head {
      cursor
    }
  }
`;

export const life = graphql`
  query boardLifeQuery($id: ID!) {
    node(id: $id) {
      __typename
      ...boardCard @alias(as: "card")
      ...boardHistory @alias(as: "history")
      ... on Job {
        kind
        inspection {
          ...boardCard
        }
      }
    }
  }
`;

export const news = graphql`
  subscription boardNewsSubscription($after: String) {
    inspectionChanged(after: $after) {
      cursor
      verdict
      inspection {
        ...boardCard
      }
    }
  }
`;
