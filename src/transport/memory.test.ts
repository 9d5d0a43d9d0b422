import { describe } from 'vitest'
import { conformance } from './conformance.fixture.ts'
import { memoryNetwork } from './memory.fixture.ts'

describe('the in-memory transport', () => conformance(memoryNetwork))
