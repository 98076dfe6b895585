"""Python with gql and requests, without asyncio: a list page by page, and an error.

    python python/script.py [http://127.0.0.1:8080]
"""

import sys

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

HUB = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"

INSPECTIONS = """
    query Inspections($after: String) {
      inspections(first: 20, after: $after, orderBy: { field: CREATED_AT, direction: ASC }) {
        nodes { vendor externalId status }
        pageInfo { hasNextPage endCursor }
      }
    }
"""

# Without a timeout, requests waits without end.
transport = RequestsHTTPTransport(url=f"{HUB}/graphql", timeout=30)
# With the hub's schema, gql validates an operation before it sends it.
with Client(transport=transport, fetch_schema_from_transport=True) as session:

    def inspections(after: str | None) -> dict:
        return session.execute(GraphQLRequest(INSPECTIONS, variable_values={"after": after}))["inspections"]

    after, more = None, True
    while more:
        page = inspections(after)
        for row in page["nodes"]:
            print("inspection", row["vendor"], row["externalId"], row["status"])
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    try:
        inspections("nonsense")
    except TransportQueryError as error:
        print("error", error.errors[0]["extensions"]["code"])
