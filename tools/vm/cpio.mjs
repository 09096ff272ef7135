// An archive as the kernel unpacks it at the start (Documentation/driver-api/early-userspace/buffer-format.rst, "newc").
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

const MODE = { directory: 0o040000, file: 0o100000, link: 0o120000, character: 0o020000 };
const pad = (length) => Buffer.alloc((4 - (length % 4)) % 4);

/** Writes an archive. Folders above what is put in are made as they are needed. */
export class Archive {
  #fd;
  #inode = 1;
  #known = new Set([".", "/", ""]);

  constructor(path) {
    this.#fd = openSync(path, "w");
  }

  directory(name, mode = 0o755) {
    if (this.#known.has(name)) return;
    this.directory(dirname(name));
    this.#known.add(name);
    this.#entry(name, MODE.directory | mode);
  }

  file(name, content, mode = 0o644) {
    if (!this.#isNew(name)) return;
    this.#entry(name, MODE.file | mode, Buffer.from(content));
  }

  link(name, target) {
    if (!this.#isNew(name)) return;
    this.#entry(name, MODE.link | 0o777, Buffer.from(target));
  }

  device(name, major, minor) {
    if (!this.#isNew(name)) return;
    this.#entry(name, MODE.character | 0o600, Buffer.alloc(0), [major, minor]);
  }

  /** A file, a link, or a folder with all that is in it and that `wanted` takes, as they are on this machine. */
  copy(path, name = path.slice(1), wanted = () => true) {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) this.link(name, readlinkSync(path));
    else if (stat.isFile()) this.file(name, readFileSync(path), stat.mode & 0o7777);
    else if (stat.isDirectory()) {
      this.directory(name);
      for (const entry of readdirSync(path).sort()) {
        if (wanted(join(path, entry))) this.copy(join(path, entry), `${name}/${entry}`, wanted);
      }
    }
  }

  close() {
    this.#entry("TRAILER!!!", 0);
    closeSync(this.#fd);
  }

  #isNew(name) {
    if (this.#known.has(name)) return false;
    this.directory(dirname(name));
    this.#known.add(name);
    return true;
  }

  #entry(name, mode, content = Buffer.alloc(0), [major, minor] = [0, 0]) {
    const text = Buffer.from(`${name}\0`);
    const fields = [this.#inode++, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, text.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    const parts = [Buffer.from(header), text, pad(header.length + text.length), content, pad(content.length)];
    for (const bytes of parts) for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
  }
}
