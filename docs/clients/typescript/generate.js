// GraphQL Code Generator: types of the schema and of the operations, and typed documents.

import { codegen } from '@graphql-codegen/core';
import * as documents from '@graphql-codegen/typed-document-node';
import * as operations from '@graphql-codegen/typescript-operations';
import * as types from '@graphql-codegen/typescript';
import { parse } from 'graphql';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const read = (file) => parse(readFileSync(new URL(file, import.meta.url), 'utf8'));
const schema = read('../../../schema.graphql');
const location = 'operations.graphql';
const config = {
  emitLegacyCommonJSImports: false,
  enumsAsTypes: true,
  importSchemaTypesFrom: 'generated/schema.js',
  scalars: { DateTime: 'string', JSON: 'unknown', Long: 'number' },
  strictScalars: true,
  useTypeImports: true,
};

async function generate(name, plugins) {
  const text = await codegen({
    filename: `generated/${name}.ts`,
    schema,
    documents: [{ location, document: read(location) }],
    config,
    pluginMap: plugins,
    plugins: Object.keys(plugins).map((plugin) => ({ [plugin]: {} })),
  });
  writeFileSync(new URL(`generated/${name}.ts`, import.meta.url), text);
}

mkdirSync(new URL('generated', import.meta.url), { recursive: true });
await generate('schema', { types });
await generate('operations', { operations, documents });
