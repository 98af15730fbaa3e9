// What the client's WebAssembly module takes for the platform's `Request` and `fetch`: `build.mjs` puts these in their place.

/** A request that follows no redirect: that would take writes and tokens elsewhere. */
export function Request(url: string, options: RequestInit): globalThis.Request {
  return new globalThis.Request(url, { ...options, redirect: 'error' });
}

/** Codes of Node's by which it is sure that nothing was sent. */
const NOT_CONNECTED = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/;

interface Failure {
  code?: unknown;
  cause?: Failure;
}

export async function fetch(request: globalThis.Request): Promise<Response> {
  try {
    return await globalThis.fetch(request);
  } catch (error) {
    const code = (error as Failure | undefined)?.cause?.code;
    if (typeof code !== 'string' || !NOT_CONNECTED.test(code)) throw error;
    // The client looks at the name.
    throw Object.assign(new Error(code, { cause: error }), { name: 'NotConnected' });
  }
}
