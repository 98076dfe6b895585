// The schema as a graph: types are nodes, fields and arguments are edges to their types.
import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isUnionType,
  type GraphQLNamedType,
  type GraphQLSchema,
  type GraphQLType,
} from "graphql";

export type Kind = "root" | "type" | "interface" | "union" | "input" | "enum";

export type Field = {
  name: string;
  /** In SDL notation, with list and non-null marks. */
  type: string;
  args: { name: string; type: string }[];
  description?: string;
  deprecated?: string;
  /** The node of its type, if the type is drawn. */
  target?: string;
};

export type TypeNode = { name: string; kind: Kind; description?: string; fields: Field[] };

/** All references from one type to another: field names, or an empty list for an implemented interface or a union member. */
export type TypeEdge = { source: string; target: string; fields: string[] };

export type Graph = { types: Map<string, TypeNode>; edges: TypeEdge[] };

/** Scalars are not drawn. A connection and its edges are drawn as the type that they page through. */
export function buildGraph(schema: GraphQLSchema, withInputs: boolean): Graph {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const drawn = Object.values(schema.getTypeMap()).filter((type) => {
    if (isIntrospectionType(type) || isPaging(type)) return false;
    if (isInputObjectType(type) || isEnumType(type)) return withInputs;
    return isObjectType(type) || isInterfaceType(type) || isUnionType(type);
  });
  const names = new Set(drawn.map(({ name }) => name));
  const targetOf = (type: GraphQLNamedType) => {
    const { name } = connectionNodeType(type);
    return names.has(name) ? name : undefined;
  };
  const types = new Map<string, TypeNode>();
  const edges = new Map<string, TypeEdge>();
  const connect = (source: string, target?: string, field?: string) => {
    if (!target) return;
    const edge = edges.get(`${source} ${target}`) ?? { source, target, fields: [] };
    if (field && !edge.fields.includes(field)) edge.fields.push(field);
    edges.set(`${source} ${target}`, edge);
  };
  for (const type of drawn) {
    const fields = fieldsOf(type, targetOf);
    types.set(type.name, {
      name: type.name,
      kind: roots.some((root) => root === type) ? "root" : kindOf(type),
      description: type.description ?? undefined,
      fields,
    });
    for (const field of fields) {
      connect(type.name, field.target, field.name);
      for (const argument of argumentsOf(type, field.name)) {
        connect(type.name, targetOf(getNamedType(argument.type)), field.name);
      }
    }
    if (isObjectType(type) || isInterfaceType(type)) {
      for (const { name } of type.getInterfaces()) connect(type.name, name);
    }
    if (isUnionType(type)) for (const { name } of type.getTypes()) connect(type.name, name);
  }
  return { types, edges: [...edges.values()] };
}

function kindOf(type: GraphQLNamedType): Kind {
  if (isInterfaceType(type)) return "interface";
  if (isUnionType(type)) return "union";
  if (isInputObjectType(type)) return "input";
  return isEnumType(type) ? "enum" : "type";
}

function fieldsOf(type: GraphQLNamedType, targetOf: (type: GraphQLNamedType) => string | undefined): Field[] {
  if (isEnumType(type)) {
    return type.getValues().map(({ name, description, deprecationReason }) => ({
      name,
      type: "",
      args: [],
      description: description ?? undefined,
      deprecated: deprecationReason ?? undefined,
    }));
  }
  if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) return [];
  return Object.values(type.getFields()).map((field) => ({
    name: field.name,
    type: String(field.type),
    args: argumentsOf(type, field.name).map((argument) => ({ name: argument.name, type: String(argument.type) })),
    description: field.description ?? undefined,
    deprecated: field.deprecationReason ?? undefined,
    target: targetOf(getNamedType(field.type as GraphQLType)),
  }));
}

function argumentsOf(type: GraphQLNamedType, field: string) {
  return isObjectType(type) || isInterfaceType(type) ? (type.getFields()[field]?.args ?? []) : [];
}

/** Connections of the Relay specification, their edges, and PageInfo. */
function isPaging(type: GraphQLNamedType): boolean {
  if (!isObjectType(type)) return false;
  if (type.name === "PageInfo" || connectionNodeType(type) !== type) return true;
  return type.name.endsWith("Edge") && "node" in type.getFields();
}

function connectionNodeType(type: GraphQLNamedType): GraphQLNamedType {
  if (!isObjectType(type) || !type.name.endsWith("Connection")) return type;
  const edges = type.getFields().edges;
  const edge = edges && getNamedType(edges.type);
  const node = isObjectType(edge) ? edge.getFields().node : undefined;
  return node ? getNamedType(node.type) : type;
}
