// JSON with its numbers as the hub wrote them. JavaScript has 53 bits for a whole number: a larger one would be shown as
// another. Numbers that it cannot hold keep their text, and are printed as that again. Older browsers, which do not tell the
// text of a number, round as they always did.

type Context = { source?: string };
type Reviver = (this: unknown, key: string, value: unknown, context?: Context) => unknown;

/** Prints as this text, which must be one JSON value other than an object or a list. */
const raw = (JSON as { rawJSON?: (text: string) => unknown }).rawJSON;

/** Replaces the numbers that would be printed otherwise than they are written. For `JSON.parse`. */
const keeping =
  (keep: (text: string) => unknown): Reviver =>
  (_key, value, context) =>
    typeof value === "number" && raw && context?.source !== undefined && String(value) !== context.source
      ? keep(context.source)
      : value;

export const exact = keeping((text) => raw?.(text));

export function parseExact(text: string) {
  return JSON.parse(text, exact);
}

/** Marks such a number within a text. It is no letter that a vendor's text has. */
const MARK = "\uE000number:";

const mark = keeping((text) => MARK + text);

/** For a library that parses by itself: such numbers become texts that `unmarked` knows. */
export function marked(json: string): string {
  return JSON.stringify(JSON.parse(json, mark));
}

/** What a library has made of marked JSON, with the numbers in it again. */
export function unmarked<T>(value: T): T {
  if (typeof value === "string") {
    const number = value.startsWith(MARK) ? value.slice(MARK.length) : "";
    return (raw && /^-?\d/.test(number) ? raw(number) : value) as T;
  }
  if (Array.isArray(value)) return value.map(unmarked) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, unmarked(inner)])) as T;
}
