// All rules of the linter that the schema is to keep, and our own from rules/. Left out, with the reason:
// - "enum-values-sorted-alphabetically", "input-object-fields-sorted-alphabetically", "type-fields-sorted-alphabetically"
//   and "interface-fields-sorted-alphabetically" are kept by the printer of schema.graphql, which sorts everything; the
//   order that introspection gives, and that the playground shows, is that of a reader: ids and states first.
module.exports = {
  rules: [
    "arguments-have-descriptions",
    "defined-types-are-used",
    "deprecations-have-a-reason",
    "descriptions-are-capitalized",
    "enum-values-all-caps",
    "enum-values-have-descriptions",
    "fields-are-camel-cased",
    "fields-have-descriptions",
    "input-object-values-are-camel-cased",
    "input-object-values-have-descriptions",
    "relay-connection-arguments-spec",
    "relay-connection-types-spec",
    "relay-page-info-spec",
    "types-are-capitalized",
    "types-have-descriptions",
    "deprecations-have-a-date",
    "inputs-have-examples",
    "scalars-are-specified",
    "names-are-regular",
  ],
  customRulePaths: [`${__dirname}/rules/*.js`],
};
