// What is wanted of the browser besides a database.

export const fillRandom = (bytes) => globalThis.crypto.getRandomValues(bytes);

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
