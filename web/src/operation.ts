// Selects the operation of a document.
import { getOperationAST, parse, type OperationDefinitionNode } from "graphql";

/**
 * The operation with this name, else the only one. Null if there is no such operation, or the document does not parse.
 * The name may be out of date, because GraphiQL parses an edited document only after a delay.
 */
export function operationOf(query: string, operationName?: string | null): OperationDefinitionNode | null {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document) ?? null;
  } catch {
    return null; // The hub reports the syntax error.
  }
}
