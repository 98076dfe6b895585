"""Python with gql: a list page by page, an error, and a subscription that resumes after an interruption.

    python python/example.py [http://127.0.0.1:8080 [aiohttp]]

With `aiohttp`, all goes by that library, else by httpx and websockets. `script.py` beside this does without asyncio.
"""

import asyncio
import sys

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

HUB = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
HTTP, WEBSOCKET = (
    (AIOHTTPTransport, AIOHTTPWebsocketsTransport)
    if sys.argv[2:] == ["aiohttp"]
    else (HTTPXAsyncTransport, WebsocketsTransport)
)

INSPECTIONS = """
    query Inspections($after: String) {
      head { cursor }
      inspections(first: 20, after: $after, orderBy: { field: CREATED_AT, direction: ASC }) {
        nodes { vendor externalId status }
        pageInfo { hasNextPage endCursor }
      }
    }
"""

CHANGED = """
    subscription Changed($after: String) {
      inspectionChanged(after: $after) {
        cursor
        position
        toStatus
        inspection { vendor externalId }
      }
    }
"""


async def inspections() -> str:
    """Prints all inspections; returns the cursor of the first page.

    What changes while the others are read comes by the subscription.
    """
    transport = HTTP(url=f"{HUB}/graphql")
    # With the hub's schema, gql validates an operation before it sends it.
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        cursor, after, more = None, None, True
        while more:
            page = await session.execute(GraphQLRequest(INSPECTIONS, variable_values={"after": after}))
            cursor = cursor or page["head"]["cursor"]
            for row in page["inspections"]["nodes"]:
                print("inspection", row["vendor"], row["externalId"], row["status"])
            after, more = page["inspections"]["pageInfo"]["endCursor"], page["inspections"]["pageInfo"]["hasNextPage"]
        try:
            await session.execute(GraphQLRequest(INSPECTIONS, variable_values={"after": "nonsense"}))
        except TransportQueryError as error:
            print("error", code(error))
        return cursor


async def follow(cursor: str) -> None:
    """Prints each change after the cursor, without end."""
    while True:
        # By default gql offers older protocols first.
        protocols = [WEBSOCKET.GRAPHQLWS_SUBPROTOCOL]
        transport = WEBSOCKET(url=f"{HUB.replace('http', 'ws', 1)}/graphql", subprotocols=protocols)
        try:
            async with Client(transport=transport) as session:
                async for event in session.subscribe(GraphQLRequest(CHANGED, variable_values={"after": cursor})):
                    change = event["inspectionChanged"]
                    row = change["inspection"]
                    print("change", change["position"], row["vendor"], row["externalId"], change["toStatus"])
                    cursor = change["cursor"]
        except TransportQueryError as error:
            # Resume after SLOW_CONSUMER; for any other error of the hub, a retry does not help.
            if code(error) != "SLOW_CONSUMER":
                raise
        except (TransportError, OSError):
            pass
        await asyncio.sleep(0.5)


def code(error: TransportQueryError) -> str | None:
    return error.errors[0].get("extensions", {}).get("code")


async def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)
    await follow(await inspections())


asyncio.run(main())
