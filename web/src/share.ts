// Share links: an operation in the fragment of the page's URL, which browsers do not send to servers. A link holds the
// document, the variables and the operation name, never headers or the token. Opening a link does not run the operation.

export type Shared = { query: string; variables?: string; operationName?: string };

const KEY = "share=";
/** The most characters that a link may unpack to: enough for any operation, too few for a malicious link to do harm. */
const MAX_LENGTH = 500_000;

export async function shareLink({ query, variables, operationName }: Shared): Promise<string> {
  const text = JSON.stringify({
    query,
    ...(variables?.trim() && { variables }),
    ...(operationName && { operationName }),
  });
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  return `${location.origin}${location.pathname}#${KEY}${toBase64Url(bytes)}`;
}

/** The content of a share link's fragment. Null if the fragment is not a share link; throws if the link is broken. */
export async function parseShareLink(fragment: string): Promise<Shared | null> {
  const content = fragment.replace(/^#/, "");
  if (!content.startsWith(KEY)) return null;
  const { query, variables, operationName } = JSON.parse(await inflate(fromBase64Url(content.slice(KEY.length))));
  if (typeof query !== "string") throw new TypeError("it has no query");
  return {
    query,
    variables: typeof variables === "string" ? variables : undefined,
    operationName: typeof operationName === "string" ? operationName : undefined,
  };
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = unpacked.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += value;
    if (text.length <= MAX_LENGTH) continue;
    await reader.cancel();
    throw new RangeError("it is too long");
  }
}

function toBase64Url(bytes: Uint8Array): string {
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
