// Between a client and a service: counts what is asked, and breaks or holds up what is answered.
import { connect, createServer } from 'node:net';

export async function proxy(target) {
  const { port } = new URL(target);
  const sockets = new Set();
  const state = {
    /** The request arrives, and its answer does not: the connection breaks. */
    cut: false,
    /** Nor does the connection break. */
    mute: false,
    /** Answers to reads wait for this promise. */
    hold: undefined,
    /** How many have waited. */
    held: 0,
    /** Method and path of each request; browsers' questions whether they may ask are none. */
    requests: [],
  };
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    }
    let asks = false;
    let reads = false;
    client.on('data', (data) => {
      const [, method, path] = /^([A-Z]+) (\S+) HTTP/.exec(data.subarray(0, 1000).toString('latin1')) ?? [];
      if (method !== undefined) {
        asks = method === 'OPTIONS';
        reads = method === 'GET' || method === 'HEAD' || path.endsWith('/get-many');
        if (!asks) state.requests.push(`${method} ${path}`);
      }
      upstream.write(data);
    });
    client.on('end', () => upstream.end());
    upstream.on('data', async (data) => {
      if (reads && state.hold) {
        state.held += 1;
        await state.hold;
      }
      if (state.cut && !asks) client.destroy();
      else if (!state.mute || asks) client.write(data);
    });
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    state,
    close() {
      sockets.forEach((socket) => socket.destroy());
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
