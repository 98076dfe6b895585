// Every scalar of our own says where its format is specified, and shows a value.
const { ValidationError } = require("graphql-schema-linter");

exports.ScalarsAreSpecified = function ScalarsAreSpecified(context) {
  return {
    ScalarTypeDefinition(node) {
      const specified = node.directives.some(({ name }) => name.value === "specifiedBy");
      if (specified && node.description?.value.includes("`")) return;
      const message = `The scalar \`${node.name.value}\` needs @specifiedBy, and an example in its description.`;
      context.reportError(new ValidationError("scalars-are-specified", message, [node]));
    },
  };
};
