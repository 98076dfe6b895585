// Which operation of a document is meant.
import { getOperationAST, parse, type OperationDefinitionNode } from "graphql";

/**
 * The one with this name, or else the only one. GraphiQL notices a switch of tabs a moment late: the name it gives can
 * be that of the tab before. Null if there is none, or the text is no GraphQL.
 */
export function operationOf(query: string, operationName?: string | null): OperationDefinitionNode | null {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document) ?? null;
  } catch {
    return null; // The hub will say what is wrong with the text.
  }
}
