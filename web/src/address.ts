// Where the hub is. The page is at `graphiql` beside the API, and both may be below a path of a proxy's.
const beside = location.pathname.replace(/\/+/g, "/").replace(/graphiql(\/[^/]*)?$/, "");

export const API = `${beside}graphql`;
export const SCHEMA = `${beside}schema.graphql`;
