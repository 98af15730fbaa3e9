// The types of lru-cache name it; no more of Node's types is needed.
declare namespace NodeJS {
  interface Timeout {}
}
