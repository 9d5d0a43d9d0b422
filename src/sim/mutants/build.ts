/** Copies of the build with patches in them. */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Patch } from './mutant.ts'

/** A patch that does not fit: the code has changed, and the table of mutants must follow it. */
export class PatchError extends Error {
  constructor(patch: Patch, what: string) {
    super(`${patch.file}: ${what}:\n${patch.find}`)
    this.name = 'PatchError'
  }
}

/**
 * Replaces the one place where a patch fits. White space in `find` stands for any white space, so that only words count,
 * not how a compiler breaks lines.
 * @throws PatchError if there is none, or more than one.
 */
export function applyPatch(text: string, patch: Patch): string {
  const words = patch.find.trim().split(/\s+/)
  const pattern = words
    .map(word => word.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
    .join(String.raw`\s+`)
  const places = [...text.matchAll(new RegExp(pattern, 'g'))]
  const [place] = places
  if (place === undefined) throw new PatchError(patch, 'this text is not there')
  if (places.length > 1) throw new PatchError(patch, `this text is there ${places.length} times, not once`)
  return text.slice(0, place.index) + patch.replace + text.slice(place.index + place[0].length)
}

/** The files of a build that patches change, as they are then, by path. @throws PatchError */
export function checkPatches(build: string, patches: readonly Patch[]): Map<string, string> {
  const files = new Map<string, string>()
  for (const patch of patches) {
    const text = files.get(patch.file) ?? readBuilt(build, patch)
    files.set(patch.file, applyPatch(text, patch))
  }
  return files
}

function readBuilt(build: string, patch: Patch): string {
  try {
    return readFileSync(join(build, patch.file), 'utf8')
  } catch {
    throw new PatchError(patch, 'there is no such file in the build')
  }
}

/** Applies patches to a build in place, in order. @throws PatchError, and then nothing was changed. */
export function patchBuild(directory: string, patches: readonly Patch[]): void {
  for (const [file, text] of checkPatches(directory, patches)) writeFileSync(join(directory, file), text)
}

/**
 * A copy of the build in a new temporary directory; `remove` it in the end.
 * @param build directory that holds `core/`, `groups/`, `sim/` … as JavaScript
 */
export function copyBuild(build: string): { readonly directory: string; readonly remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), 'anasazi-mutant-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  try {
    for (const folder of ['lib', 'core', 'groups', 'codec', 'sim']) {
      cpSync(join(build, folder), join(directory, folder), {
        recursive: true,
        filter: source => !/\.(d\.ts|map)$/.test(source),
      })
    }
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n')
  } catch (error) {
    remove()
    throw error
  }
  return { directory, remove }
}
