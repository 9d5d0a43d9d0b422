/** The files of the profiles of one turn: each process writes its own when it ends in order. */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { addProfile, type Call, emptyCall, type Span } from './profile.ts'

export const profiledRoles = ['daemon', 'client'] as const
export type ProfiledRole = (typeof profiledRoles)[number]

/** What all processes of a role did, by role; those are missing that wrote nothing. */
export type Profiles = { readonly [Role in ProfiledRole]?: Call }

/** Options of Node that let a process write its profile. */
export function profileFlags(directory: string, role: ProfiledRole): readonly string[] {
  return ['--cpu-prof', `--cpu-prof-dir=${join(directory, role)}`]
}

/** A directory for one turn, without what an earlier one of that name has left. */
export function turnDirectory(directory: string, turn: string): string {
  const path = join(directory, turn.replace(/[^A-Za-z0-9.]+/g, '-'))
  for (const role of profiledRoles) rmSync(join(path, role), { recursive: true, force: true })
  mkdirSync(path, { recursive: true })
  return path
}

export function readProfiles(directory: string, span: Span | null): Profiles {
  const found: { [Role in ProfiledRole]?: Call } = {}
  for (const role of profiledRoles) {
    const path = join(directory, role)
    const files = existsSync(path) ? readdirSync(path).filter(file => file.endsWith('.cpuprofile')) : []
    if (files.length === 0) continue
    const root = emptyCall()
    for (const file of files) addProfile(root, readFileSync(join(path, file), 'utf8'), span)
    if (root.total > 0) found[role] = root
  }
  return found
}
