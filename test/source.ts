// Reads the project's own source for tidy.test.ts: files, imports, exports and the few shapes of code that are banned.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript'

export const ROOT = dirname(import.meta.dirname)
const SKIPPED = new Set(['node_modules', 'dist', 'coverage', '.git', '.cache', 'vectors', 'screenshots'])

export interface Import {
  /** Path from the root for own files, the specifier for packages. */
  readonly from: string
  /** Erased at run time. */
  readonly typeOnly: boolean
  /** `*` for all of them. */
  readonly names: readonly string[]
}

export interface Export {
  readonly name: string
  readonly isType: boolean
  /** A re-export of another file's name. */
  readonly passedOn: boolean
  /** Read again in its own file. */
  readonly usedInside: boolean
}

export interface Source {
  /** From the root, with `/`. */
  readonly path: string
  readonly text: string
  readonly tree: ts.SourceFile
  readonly imports: readonly Import[]
  readonly exports: readonly Export[]
}

/** Every file below these folders, paths from the root. */
export function filesIn(...folders: string[]): string[] {
  const walk = (folder: string): string[] =>
    readdirSync(join(ROOT, folder), { withFileTypes: true })
      .filter(({ name }) => !SKIPPED.has(name))
      .flatMap(entry => (entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)]))
  return folders.filter(folder => existsSync(join(ROOT, folder))).flatMap(walk)
}

/** TypeScript files below these folders, parsed. Declaration files are left out. */
export function sourcesIn(...folders: string[]): Source[] {
  return filesIn(...folders)
    .filter(path => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))
    .map(readSource)
}

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const tree = ts.createSourceFile(
    path,
    text,
    ts.ScriptTarget.Latest,
    true,
    path.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS,
  )
  return { path, text, tree, imports: importsOf(tree, path), exports: exportsOf(tree) }
}

/** Calls `visit` on every node. */
export function everyNode(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  node.forEachChild(child => everyNode(child, visit))
}

/** `path:line` of a node. */
export function placeOf({ path, tree }: Source, node: ts.Node): string {
  return `${path}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}`
}

function importsOf(tree: ts.SourceFile, path: string): Import[] {
  const found: Import[] = []
  const add = (specifier: ts.Node, typeOnly: boolean, names: string[]) => {
    if (ts.isStringLiteralLike(specifier)) found.push({ from: resolved(specifier.text, path), typeOnly, names })
  }
  everyNode(tree, node => {
    if (ts.isImportDeclaration(node)) {
      const clause = node.importClause
      const bindings = clause?.namedBindings
      const named = bindings !== undefined && ts.isNamedImports(bindings) ? bindings.elements : []
      const names = named.map(one => (one.propertyName ?? one.name).text)
      if (clause?.name) names.push('default')
      if (bindings !== undefined && ts.isNamespaceImport(bindings)) names.push('*')
      const everyNameIsType = named.length > 0 && !clause?.name && named.every(one => one.isTypeOnly)
      add(node.moduleSpecifier, clause?.isTypeOnly === true || everyNameIsType, names)
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      const named =
        node.exportClause !== undefined && ts.isNamedExports(node.exportClause) ? node.exportClause.elements : undefined
      add(node.moduleSpecifier, node.isTypeOnly, named?.map(one => (one.propertyName ?? one.name).text) ?? ['*'])
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword && node.arguments[0]) {
      add(node.arguments[0], false, ['*'])
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true, ['*'])
  })
  return found
}

function resolved(specifier: string, path: string): string {
  return specifier.startsWith('.') ? relative('.', join(dirname(path), specifier)) : specifier
}

function exportsOf(tree: ts.SourceFile): Export[] {
  const uses = new Map<string, number>()
  everyNode(tree, node => {
    if (ts.isIdentifier(node)) uses.set(node.text, (uses.get(node.text) ?? 0) + 1)
  })
  return tree.statements.flatMap((statement): Export[] => {
    if (
      ts.isExportDeclaration(statement) &&
      statement.exportClause !== undefined &&
      ts.isNamedExports(statement.exportClause)
    )
      return statement.exportClause.elements.map(one => ({
        name: one.name.text,
        isType: statement.isTypeOnly || one.isTypeOnly,
        passedOn: statement.moduleSpecifier !== undefined,
        usedInside: false,
      }))
    const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined
    if (!modifiers?.some(one => one.kind === ts.SyntaxKind.ExportKeyword)) return []
    const isType = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)
    return declared(statement).map(name => ({ name, isType, passedOn: false, usedInside: (uses.get(name) ?? 0) > 1 }))
  })
}

function declared(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.flatMap(one => (ts.isIdentifier(one.name) ? [one.name.text] : []))
  const named = statement as ts.Statement & { name?: ts.Node }
  return named.name !== undefined && ts.isIdentifier(named.name) ? [named.name.text] : []
}
