// The reason of a deprecation names the day from which the thing may be gone, e.g. "Use `status`. Stays until 2027-06-30."
const { ValidationError } = require("graphql-schema-linter");
const { reasonOf, dayOf } = require("../deprecation.js");

exports.DeprecationsHaveADate = function DeprecationsHaveADate(context) {
  return {
    Directive(node) {
      if (node.name.value !== "deprecated" || dayOf(reasonOf({ directives: [node] }) ?? "")) return;
      const message = "A deprecation needs the day until which the thing stays, e.g. `Stays until 2027-06-30.`";
      context.reportError(new ValidationError("deprecations-have-a-date", message, [node]));
    },
  };
};
