// The hub's URLs. The page is served at `graphiql`, next to the API; a proxy may prefix both with a path.
const base = location.pathname.replace(/\/+/g, "/").replace(/graphiql(\/[^/]*)?$/, "");

export const API = `${base}graphql`;
export const LOGOUT = `${base}logout`;
export const SCHEMA = `${base}schema.graphql`;
