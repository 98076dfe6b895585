// Parses JSON without rounding its numbers. JavaScript integers are exact up to 53 bits, so a larger number would be shown
// as a different one. Such numbers keep their source text and are printed as it. Browsers without source text access in
// `JSON.parse` still round.

type Context = { source?: string };
type Reviver = (this: unknown, key: string, value: unknown, context?: Context) => unknown;

/** A value that prints as this text, which must be a JSON primitive. */
const raw = (JSON as { rawJSON?: (text: string) => unknown }).rawJSON;

/** A reviver for `JSON.parse` that replaces each number whose printed form differs from its source text. */
const replacingInexact =
  (replace: (text: string) => unknown): Reviver =>
  (_key, value, context) =>
    typeof value === "number" && raw && context?.source !== undefined && String(value) !== context.source
      ? replace(context.source)
      : value;

export const exact = replacingInexact((text) => raw?.(text));

export function parseExact(text: string) {
  return JSON.parse(text, exact);
}

/** Prefix of a marked number. The character is from the private use area, so a vendor's text does not contain it. */
const MARK = "\uE000number:";

const mark = replacingInexact((text) => MARK + text);

/** For a library that parses JSON itself: large numbers become strings that `unmarked` recognises. */
export function marked(json: string): string {
  return JSON.stringify(JSON.parse(json, mark));
}

/** Restores the numbers in a value that a library parsed from marked JSON. */
export function unmarked<T>(value: T): T {
  if (typeof value === "string") {
    const number = value.startsWith(MARK) ? value.slice(MARK.length) : "";
    return (raw && /^-?\d/.test(number) ? raw(number) : value) as T;
  }
  if (Array.isArray(value)) return value.map(unmarked) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, unmarked(inner)])) as T;
}
