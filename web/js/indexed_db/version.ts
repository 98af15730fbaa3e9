/** One call of the browser's for so many versions: the call costs more than the bytes. */
const VERSIONS = 64;

const words = new Uint32Array(VERSIONS * 4);
let used = words.length;

/** A version that never comes again: 128 random bits as 32 hexadecimal digits. */
export function freshVersion(): string {
  if (used === words.length) {
    globalThis.crypto.getRandomValues(words);
    used = 0;
  }
  let text = '';
  for (let end = used + 4; used < end; used += 1) text += (words[used] ?? 0).toString(16).padStart(8, '0');
  return text;
}
