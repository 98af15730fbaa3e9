// Objects for JavaScript, each made in one crossing.

/** One entry. `type` is a number: `values.ts` knows what it means. */
export const makeEntry = (
  key, type, data, name, version, contentType, metadata, createdAt, updatedAt, expiresAt, slidingMs, size, checksum,
) => ({
  key, type, data, name, version, contentType, metadata, createdAt, updatedAt, expiresAt, slidingMs, size, checksum,
});

export const makeValue = (type, data, name, contentType) => ({ type, data, name, contentType });
