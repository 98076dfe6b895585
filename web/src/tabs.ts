// The tabs of a first visit. GraphiQL names a tab after its operation. A returning visitor keeps their own tabs.
import type { GraphiQLProps } from "graphiql";
import { API } from "./urls";
import { withToken } from "./connection";

const HOUR = 60 * 60 * 1000;

const BOARD = `# The board: inspections by status, and the twenty that
# changed last.
query Board {
  statusCounts {
    status
    count
  }
  inspections(
    first: 20
    orderBy: { field: UPDATED_AT, direction: DESC }
  ) {
    nodes {
      id
      vendor
      reference
      status
      state
      updatedAt
    }
  }
}
`;

const ONE_INSPECTION = `# One inspection: the one that changed last, with all
# that belongs to it. "state" is the vendor's term,
# "status" the hub's, the same for all vendors.
query OneInspection {
  inspections(
    first: 1
    orderBy: { field: UPDATED_AT, direction: DESC }
  ) {
    nodes {
      id
      source
      externalId
      reference
      status
      state
      cycle
      updatedAt
      subject {
        vehicle {
          vin
          year
          make
          model
        }
      }
      nextStates {
        state
        status
        reopening
      }
      sessions {
        nodes {
          externalId
          status
          state
          updatedAt
        }
      }
      jobs {
        nodes {
          externalId
          kind
          status
          state
          updatedAt
        }
      }
      photos: items(kind: [PHOTO]) {
        nodes {
          externalId
          state
          details
        }
      }
      history {
        nodes {
          position
          event
          verdict
          reason
          fromState
          toState
          occurredAt
          receivedAt
        }
      }
    }
  }
}
`;

const STALLED = `# Stalled inspections: open, and without a change for
# the time in the variables below, longest first.
# Try "24h" or "3d".
query Stalled($for: String!) {
  inspections(
    first: 50
    filter: { stalledFor: $for }
    orderBy: { field: UPDATED_AT, direction: ASC }
  ) {
    totalCount
    nodes {
      id
      vendor
      reference
      status
      state
      updatedAt
    }
  }
}
`;

const ONE_HOUR_AGO = `# The past: what had happened to each inspection by the
# time in the variables below, and what the hub knew of
# it then. They differ if a vendor reported late.
query OneHourAgo($at: DateTime!) {
  inspections(
    first: 20
    orderBy: { field: UPDATED_AT, direction: DESC }
  ) {
    nodes {
      id
      vendor
      reference
      status
      happened: asOf(at: $at, clock: OCCURRED) {
        status
        state
        event
        occurredAt
      }
      known: asOf(at: $at, clock: RECEIVED) {
        status
        state
        event
        receivedAt
      }
    }
  }
}
`;

const CHANGE = `    position
    cursor
    kind
    event
    verdict
    reason
    fromStatus
    toStatus
    occurredAt
    inspection {
      id
      vendor
      externalId
      reference
      status
    }`;

const LIVE = `# Live: every change from now on, from all vendors.
# The newest one is shown.
subscription Live {
  changes {
${CHANGE}
  }
}
`;

const RESUME = `# Resume: every change after a cursor, first from the
# history, then live, without gaps or duplicates. The
# variables below accept the cursor of any change.
subscription Resume($after: String) {
  changes(after: $after) {
${CHANGE}
  }
}
`;

const RECENT = `{
  inspections(first: 20, orderBy: { field: CREATED_AT, direction: DESC }) {
    nodes { history(first: 1) { nodes { cursor } } }
  }
}`;

export async function initialTabs(): Promise<GraphiQLProps["defaultTabs"]> {
  if (localStorage.getItem("graphiql:tabState")) return undefined;
  return [
    { query: BOARD },
    { query: ONE_INSPECTION },
    { query: STALLED, variables: json({ for: "PT1M" }) },
    { query: ONE_HOUR_AGO, variables: json({ at: new Date(Date.now() - HOUR).toISOString() }) },
    { query: LIVE },
    { query: RESUME, variables: json({ after: await recentCursor() }) },
  ];
}

/** The first change of the twentieth newest inspection: recent enough for a short backfill. Null if there are no inspections. */
async function recentCursor(): Promise<string | null> {
  try {
    const response = await fetch(API, {
      method: "POST",
      headers: withToken({ accept: "application/json", "content-type": "application/json" }),
      body: JSON.stringify({ query: RECENT }),
      signal: AbortSignal.timeout(2000),
    });
    const { data } = await response.json();
    return data.inspections.nodes.at(-1).history.nodes[0].cursor;
  } catch {
    return null;
  }
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
