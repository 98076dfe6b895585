// Names tell what a thing is: input objects end in `Filter`, `Order` or `Key`, those of mutations in `Input`, and a field or argument named `id` is
// an ID. Nothing begins with two underscores, which are introspection's.
const { ValidationError } = require("graphql-schema-linter");

exports.NamesAreRegular = function NamesAreRegular(context) {
  const report = (message, node) => context.reportError(new ValidationError("names-are-regular", message, [node]));
  const id = (node) => {
    const type = nameOf(node.type);
    if (node.name.value === "id" && type !== "ID") report(`\`id\` is of the type \`${type}\`, not \`ID\`.`, node);
    if (node.name.value.startsWith("__")) report(`\`${node.name.value}\` begins like introspection.`, node);
  };
  return {
    InputObjectTypeDefinition(node) {
      if (/(Filter|Order|Key|Input)$/.test(node.name.value)) return;
      report(`The input \`${node.name.value}\` does not end in \`Filter\`, \`Order\`, \`Key\` or \`Input\`.`, node);
    },
    FieldDefinition: id,
    InputValueDefinition: id,
  };
};

const nameOf = (type) => (type.kind === "NamedType" ? type.name.value : nameOf(type.type));
