// One of the threads that share many seeds (threads.ts starts it, from a build).

import { parentPort, workerData } from 'node:worker_threads'
import { runSeeds, type Seeds } from './report.ts'
import { type Run, Simulator } from './sim.ts'

const tell = (run: Run) => parentPort?.postMessage({ run })

parentPort?.postMessage({ totals: await runSeeds(await Simulator.make(), workerData as Seeds, tell) })
