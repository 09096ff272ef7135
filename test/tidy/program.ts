import { type Node, SyntaxKind } from "typescript/unstable/ast";
import { API, type Project } from "typescript/unstable/sync";

/** The compiler's own view of a room: its files as trees, and what each name in them means. */
export class Room implements Disposable {
  readonly #api: API;
  readonly project: Project;

  /** @param config path of a tsconfig.json */
  constructor(config: string) {
    this.#api = new API({ cwd: import.meta.dirname });
    const project = this.#api.updateSnapshot({ openProjects: [config] }).getProject(config);
    if (!project) throw new Error(`${config} is no project`);
    this.project = project;
  }

  [Symbol.dispose](): void {
    this.#api.close();
  }

  get files(): readonly string[] {
    return this.project.rootFiles;
  }

  /** Calls for every node of a file, outermost first. */
  visit(file: string, call: (node: Node) => void): void {
    const source = this.project.program.getSourceFile(file);
    if (!source) throw new Error(`${file} is not in ${this.project.configFileName}`);
    const descend = (node: Node): void => {
      call(node);
      node.forEachChild((child) => {
        descend(child);
        return undefined;
      });
    };
    descend(source);
  }
}

/** Every place where a decision is made by the type of one of these values: a switch, or a table that is indexed by it. */
export function dispatches(room: Room, typeName: string): string[] {
  const { checker } = room.project;
  const isType = (node: Node): boolean => {
    const { expression, name } = node as Node & {
      readonly expression?: Node;
      readonly name?: { readonly text?: string };
    };
    if (node.kind !== SyntaxKind.PropertyAccessExpression || !expression || name?.text !== "type") return false;
    const type = checker.getTypeAtLocation(expression);
    return type !== undefined && checker.typeToString(type) === typeName;
  };
  const found: string[] = [];
  for (const file of room.files) {
    room.visit(file, (node) => {
      const { expression, argumentExpression } = node as Node & {
        readonly expression?: Node;
        readonly argumentExpression?: Node;
      };
      const isSwitch = node.kind === SyntaxKind.SwitchStatement && expression && isType(expression);
      const isIndex =
        node.kind === SyntaxKind.ElementAccessExpression && argumentExpression && isType(argumentExpression);
      if (isSwitch || isIndex) found.push(placeOf(file, node));
    });
  }
  return found;
}

/** Of the default library: what makes a function give another answer tomorrow. */
const IMPURE = new Set(["Date", "performance", "Promise", "setTimeout", "setInterval", "crypto", "globalThis", "eval"]);
const ASYNC = new Set([SyntaxKind.AwaitExpression, SyntaxKind.AsyncKeyword]);

/** Every use of a clock, of randomness, of a promise, or of the outside world: by what a name means, not by how it looks. */
export function impurities(room: Room): string[] {
  const found: string[] = [];
  for (const file of room.files) {
    room.visit(file, (node) => {
      if (ASYNC.has(node.kind)) found.push(placeOf(file, node));
      else if (node.kind === SyntaxKind.Identifier && isImpure(room, node)) found.push(placeOf(file, node));
      else if (node.kind === SyntaxKind.ImportDeclaration && /from "node:/.test(node.getText()))
        found.push(placeOf(file, node));
    });
  }
  return found;
}

function isImpure(room: Room, node: Node): boolean {
  const { text } = node as Node & { readonly text: string };
  if (text === "Math") return !isMathOfNoChance(node);
  if (text === "random") return isGlobal(room, node);
  return IMPURE.has(text) && (text === "globalThis" || isGlobal(room, node));
}

/** `Math.floor`: a member by its name, which is not `random`; `const { random } = Math` and `Math[name]` are none. */
function isMathOfNoChance(node: Node): boolean {
  const parent = node.parent as Node & { readonly expression?: Node; readonly name?: { readonly text?: string } };
  if (parent.kind !== SyntaxKind.PropertyAccessExpression) return parent.kind === SyntaxKind.PropertyAssignment;
  return parent.name?.text !== "random";
}

/** Declared by the language or the platform, and by no file of ours. */
function isGlobal(room: Room, node: Node): boolean {
  const symbol = room.project.checker.getSymbolAtLocation(node);
  if (!symbol) return false;
  return symbol.declarations.every(({ path }) => /\/lib\.[\w.]+\.d\.ts$|\/node_modules\//.test(path));
}

/** "src/engine/engine.ts:12: Date". */
function placeOf(file: string, node: Node): string {
  const text = node.getText();
  const line = node.getSourceFile().text.slice(0, node.getStart()).split("\n").length;
  return `${file}:${line}: ${text.split("\n")[0]}`;
}

/**
 * The files beside a file that it names, however: `import`, `export from`, `import()`, `import type`, the name of a program
 * that it starts.
 */
export function importsOf(room: Room, file: string): string[] {
  const found: string[] = [];
  room.visit(file, (node) => {
    if (node.kind !== SyntaxKind.StringLiteral) return;
    const { text } = node as Node & { readonly text: string };
    if (/^[\w./-]+\.[jt]sx?$/.test(text)) found.push(text);
  });
  return found;
}
