// Objects for JavaScript, each made in one crossing.

/** One entry. `type` is a number: `values.ts` knows what it means. */
export const makeEntry = (
  key, type, data, name, version, contentType, metadata, createdAt, updatedAt, expiresAt, slidingMs, size, checksum,
) => ({
  key, type, data, name, version, contentType, metadata, createdAt, updatedAt, expiresAt, slidingMs, size, checksum,
});

export const makeError = (factory, code, message, limit, actual, wait) => factory(code, message, limit, actual, wait);

/** As `makeEntry`, of what its value is made of. */
export const makePair = (key, type, data, name, contentType) => ({ key, type, data, name, contentType });

// Promises for calls that wait, by the numbers of their tasks.
const waiting = new Map();

export const promised = (task) => new Promise((resolve, reject) => waiting.set(task, { resolve, reject }));

export const rejected = (error) => Promise.reject(error);

export const settle = (task, good, value) => {
  const { resolve, reject } = waiting.get(task);
  waiting.delete(task);
  if (good) resolve(value);
  else reject(value);
};
