/** Anasazi: sessions for applications, and nodes for those who run them in their own process. */

export * from './client/index.ts'
export * from './node/index.ts'
