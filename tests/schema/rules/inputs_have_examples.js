// Arguments and input fields that take free text, an id or a moment show how that looks, or where it comes from.
const { ValidationError } = require("graphql-schema-linter");

const FREE = ["DateTime", "ID", "JSON", "Long", "String"];

exports.InputsHaveExamples = function InputsHaveExamples(context) {
  return {
    InputValueDefinition(node, _key, _parent, _path, ancestors) {
      const directive = ancestors.some((ancestor) => ancestor.kind === "DirectiveDefinition");
      if (directive || !FREE.includes(nameOf(node.type)) || node.description?.value.includes("`")) return;
      const message = `The input \`${node.name.value}\` has no example in its description.`;
      context.reportError(new ValidationError("inputs-have-examples", message, [node]));
    },
  };
};

const nameOf = (type) => (type.kind === "NamedType" ? type.name.value : nameOf(type.type));
