// What a schema says of a thing's deprecation.

// The reason in the definition of a thing; undefined if it is not deprecated.
exports.reasonOf = (definition) => {
  const directive = definition?.directives?.find(({ name }) => name.value === "deprecated");
  if (!directive) return undefined;
  return directive.arguments.find(({ name }) => name.value === "reason")?.value.value ?? "";
};

// The last day in a reason, as a date at midnight UTC; undefined if there is none that exists.
exports.dayOf = (reason) => {
  const days = reason.match(/\b\d{4}-\d{2}-\d{2}\b/g) ?? [];
  const day = new Date(`${days.at(-1)}T00:00:00Z`);
  return Number.isNaN(day.getTime()) ? undefined : day;
};
