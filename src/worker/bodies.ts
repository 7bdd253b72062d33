/**
 * Request bodies, read with a bound: a body that is too large is refused by its declared length where it
 * has one, and otherwise as soon as the bound is passed.
 *
 * @module
 */

import { tooLarge } from "./problems.ts";

/**
 * Reads the whole body.
 *
 * @param about - Begins the detail of a refusal: `Cannot set "/a"`.
 * @returns Bytes that fill their buffer, so that a call to a member copies nothing else.
 * @throws Problem 413 past `bytesMax`.
 */
export async function readBody(
  request: Request,
  bytesMax: number,
  about: { readonly action: string; readonly path?: string | undefined },
): Promise<Uint8Array> {
  const refuse = () => tooLarge(`${about.action}: the body may have ${bytesMax} bytes`, about.path);
  const declared = request.headers.get("Content-Length");
  if (declared !== null && Number(declared) > bytesMax) throw refuse();
  const chunks: Uint8Array[] = [];
  let length = 0;
  // A body of bytes, whatever the platform's types say of its chunks.
  const reader = (request.body as ReadableStream<Uint8Array> | null)?.getReader();
  for (let next = await reader?.read(); next?.value !== undefined; next = await reader?.read()) {
    length += next.value.byteLength;
    if (length > bytesMax) {
      await reader?.cancel();
      throw refuse();
    }
    chunks.push(next.value);
  }
  return concatenate(chunks, length);
}

function concatenate(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
