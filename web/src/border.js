// Objects for JavaScript, each made in one crossing.

/** One entry. `type` is a number: `values.ts` knows what it means. */
export const makeEntry = (
  key, type, data, name, version, contentType, metadata, createdAt, updatedAt, expiresAt, slidingMs, size, checksum,
) => ({
  key, type, data, name, version, contentType, metadata, createdAt, updatedAt, expiresAt, slidingMs, size, checksum,
});

/** As `makeEntry`, of what its value is made of. */
export const makePair = (key, type, data, name, contentType) => ({ key, type, data, name, contentType });

export const makeValue = (type, data, name, contentType) => ({ type, data, name, contentType });
