// Queries and mutations: one POST each. What is not GraphQL in the answer is made to look like it.
import { GraphQLError, type ExecutionResult } from "graphql";
import { API } from "./address";
import type { RequestTimer } from "./responses";
import { parseExact } from "./exact";
import type { Request } from "./fetcher";

export async function post(request: Request, headers: Record<string, string>, watch?: RequestTimer): Promise<ExecutionResult> {
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
    watch?.answered(result, bytes.byteLength);
    return result;
  } catch (reason) {
    return failure(`The hub did not answer: ${reason instanceof Error ? reason.message : reason}`);
  }
}

/** Outside GraphQL the hub answers with problem details (RFC 9457), a proxy in between with anything. */
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
