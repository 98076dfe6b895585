// Queries and mutations: one POST each. A response that is not GraphQL is turned into a GraphQL error.
import { GraphQLError, type ExecutionResult } from "graphql";
import { API } from "./urls";
import type { RequestTimer } from "./responses";
import { parseExact } from "./exact-numbers";
import type { Request } from "./fetcher";

export async function post(request: Request, headers: Record<string, string>, timer?: RequestTimer): Promise<ExecutionResult> {
  try {
    const response = await fetch(API, {
      method: "POST",
      headers: {
        accept: "application/graphql-response+json, application/json;q=0.9",
        "content-type": "application/json",
        ...headers,
      },
      body: JSON.stringify(request),
    });
    const bytes = await response.arrayBuffer();
    const result = read(response, new TextDecoder().decode(bytes));
    timer?.responded(result, bytes.byteLength);
    return result;
  } catch (reason) {
    return failure(`The hub did not respond: ${reason instanceof Error ? reason.message : reason}`);
  }
}

/** Outside GraphQL the hub responds with problem details (RFC 9457); a proxy in between may respond with anything. */
export function read(response: Response, body: string): ExecutionResult {
  const type = response.headers.get("content-type") ?? "";
  if (/^application\/(graphql-response\+)?json/i.test(type)) return parseExact(body);
  if (!/^application\/problem\+json/i.test(type)) return failure(`HTTP ${response.status}: ${body}`);
  const { title, detail } = JSON.parse(body);
  return failure(`HTTP ${response.status}: ${[title, detail].filter(Boolean).join(". ")}`);
}

export function failure(message: string): ExecutionResult {
  return { errors: [new GraphQLError(message)] };
}
