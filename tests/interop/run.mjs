// Drives cairn nodes beside foreign ones and prints TAP.
//	node run.mjs CAIRN FAMILY=COMMAND...	(each command starts a foreign peer)
import { spawn, execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import * as readline from 'node:readline'

const [cairn, ...families] = process.argv.slice(2)
const top = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'cairn-interop.'))
const mounts = []
const running = []
let n = 0
let failed = 0

async function check (name, fn) {
  n++
  try {
    await fn()
    console.log(`ok ${n} - ${name}`)
  } catch (err) {
    failed++
    console.log(`not ok ${n} - ${name}`)
    for (const line of String(err.stack ?? err).split('\n').slice(0, 12)) console.log(`# ${line}`)
  }
}

function equal (got, want, what) {
  if (got !== want) throw new Error(`${what}: got ${got}, wanted ${want}`)
}

async function eventually (seconds, what, fn) {
  const end = Date.now() + seconds * 1000
  let last
  for (;;) {
    try { if (await fn()) return } catch (err) { last = err }
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what} ${last ?? ''}`)
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

// The commands of a cairn node and the daemon behind them.
class Cairn {
  constructor (name) { this.repo = path.join(top, name) }

  run (...args) {
    return execFileSync(cairn, ['--repo', this.repo, ...args], { encoding: 'utf8', timeout: 120000, stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  }

  async start (bootstrap) {
    this.run('init')
    this.run('config', 'net.listen', '/ip4/127.0.0.1/tcp/0')
    this.run('config', 'net.dht', 'server')
    this.run('config', 'net.bootstrap', JSON.stringify(bootstrap))
    this.log = fs.openSync(this.repo + '.log', 'w')
    this.child = spawn(cairn, ['--repo', this.repo, 'daemon'], { stdio: ['ignore', 'pipe', this.log] })
    running.push(this.child)
    await new Promise((resolve, reject) => {
      this.child.stdout.on('data', data => { if (String(data).includes('ready')) resolve() })
      this.child.on('exit', code => reject(new Error(`the daemon ended with ${code}: ${fs.readFileSync(this.repo + '.log')}`)))
    })
    const { id, addresses } = JSON.parse(this.run('id', '--json'))
    Object.assign(this, { id, address: addresses[0] })
    return this
  }

  status () { return JSON.parse(this.run('status', '--json')) }

  mount (source) {
    const dir = path.join(top, `mnt${mounts.length}`)
    fs.mkdirSync(dir)
    this.run('mount', source, dir)
    mounts.push([this, dir])
    return dir
  }
}

// A foreign node: JSON lines in and out.
class Foreign {
  constructor (command) { this.command = command }

  async start () {
    const [file, ...args] = this.command.split(' ')
    this.child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    running.push(this.child)
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
    Object.assign(this, JSON.parse((await this.lines.next()).value))
    this.address = this.addresses[0]
    return this
  }

  async do (command) {
    this.child.stdin.write(JSON.stringify(command) + '\n')
    const { value, done } = await this.lines.next()
    if (done) throw new Error('the foreign peer went away')
    const answer = JSON.parse(value)
    if (answer.error != null) throw new Error(`${command.cmd}: ${answer.error}`)
    return answer
  }
}

function same (a, b) {
  execFileSync('diff', ['-r', '--no-dereference', a, b], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 120000 })
}

// A tree with what trips importers: symlinks, an empty folder, odd names, a
// file of several blocks, and a folder large enough to be sharded.
function makeTree (dir, entries, large) {
  const random = (size, seed) => {
    const out = Buffer.alloc(size)
    for (let i = 0, x = seed; i < size; i++) { x = (x * 1103515245 + 12345) & 0x7fffffff; out[i] = x >> 16 }
    return out
  }
  fs.mkdirSync(path.join(dir, 'empty'), { recursive: true })
  fs.mkdirSync(path.join(dir, 'a/b/c'), { recursive: true })
  fs.mkdirSync(path.join(dir, 'many'))
  fs.writeFileSync(path.join(dir, 'nothing'), '')
  fs.writeFileSync(path.join(dir, 'a/b/c/deep'), 'deep\n')
  fs.writeFileSync(path.join(dir, 'one block'), random(1048576, 1))
  fs.writeFileSync(path.join(dir, 'two blocks'), random(1048577, 2))
  fs.writeFileSync(path.join(dir, 'large'), random(large, 3))
  for (const name of ['ünï cödé', 'new\nline', 'tab\there', '*?[x]', '日本語', '-dash', '%2e', 'a b  c ', '~', 'x'.repeat(200)]) fs.writeFileSync(path.join(dir, name), name)
  fs.symlinkSync('one block', path.join(dir, 'link'))
  fs.symlinkSync('../../nowhere', path.join(dir, 'a/dangling'))
  fs.symlinkSync('/etc/passwd', path.join(dir, 'absolute'))
  for (let i = 0; i < entries; i++) fs.writeFileSync(path.join(dir, 'many', `${i}-a-name-of-some-length.txt`), `${i}\n`)
}

async function family (name, command) {
  const tree = path.join(top, `tree-${name}`)
  makeTree(tree, 10000, 5 << 20)
  const small = path.join(top, `small-${name}`)
  makeTree(small, 40, 3 << 20)
  fs.writeFileSync(path.join(small, 'which'), name)
  const theirs = path.join(top, `theirs-${name}`)
  makeTree(theirs, 60, 4 << 20)
  fs.writeFileSync(path.join(theirs, 'which'), `${name} wrote this`)

  // `middle` is all that the others know of each other.
  const middle = await new Cairn(`${name}-middle`).start([])
  const a = await new Cairn(`${name}-a`).start([middle.address])
  const f = await new Foreign(command).start()
  await f.do({ cmd: 'connect', address: middle.address })

  await check(`${name}: the CID of a tree with symlinks, odd names and 10,000 entries is the reference importer's`, async () => {
    equal(a.run('add', '-Q', '--no-provide', tree), (await f.do({ cmd: 'add', path: tree, timeout: 240000 })).cid, 'root')
  })
  if (name === 'js') {
    await check('js: so is the CID under the older profile', async () => {
      const profile = 'unixfs-v0-2015'
      equal(a.run('add', '-Q', '--no-provide', '--profile', profile, tree), (await f.do({ cmd: 'add', path: tree, profile, timeout: 240000 })).cid, 'root')
    })
  }
  if (name === 'go') {
    await check('go: the CAR of that tree is byte for byte what go-car exports', async () => {
      const { cid } = await f.do({ cmd: 'add', path: tree, timeout: 240000 })
      const [ours, itsOwn] = ['ours.car', 'go.car'].map(n => path.join(top, n))
      await f.do({ cmd: 'car', cid, to: itsOwn, timeout: 240000 })
      a.run('export', '-o', ours, cid)
      if (!fs.readFileSync(ours).equals(fs.readFileSync(itsOwn))) throw new Error(`${fs.statSync(ours).size} and ${fs.statSync(itsOwn).size} bytes differ`)
    })
  }
  await check(`${name}: it identifies a cairn node, and pings it`, async () => {
    await eventually(10, 'identify', async () => {
      const known = await f.do({ cmd: 'known', id: middle.id })
      return known.agent.startsWith('cairn/') && known.protocols.includes('/ipfs/bitswap/1.2.0') && known.certified !== false
    })
    if (!((await f.do({ cmd: 'ping', address: middle.address })).ms >= 0)) throw new Error('no time')
  })
  await check(`${name}: cairn pings it`, async () => {
    middle.run('ping', '-c', '2', f.id)
  })
  await check(`${name}: it keeps a cairn node in its routing table`, async () => {
    await eventually(20, 'in the table', async () => (await f.do({ cmd: 'known', id: middle.id })).inTable)
  })
  await check(`${name}: a cairn node has it in its routing table`, async () => {
    await eventually(20, 'two peers in the table', () => middle.status().dht.table >= 2)
  })

  let cid
  await check(`${name}: it fetches a folder that cairn added, found only through the DHT`, async () => {
    cid = a.run('add', '-Q', small)
    await eventually(30, 'announced', () => a.status().provided.announced >= 1)
    const { ids } = await f.do({ cmd: 'providers', cid })
    equal(ids[0], a.id, 'provider')
    const to = path.join(top, `got-${name}`)
    await f.do({ cmd: 'get', cid, to })
    same(small, to)
  })
  await check(`${name}: cairn mounts a folder that it added, found only through the DHT`, async () => {
    const theirCid = (await f.do({ cmd: 'add', path: theirs })).cid
    await f.do({ cmd: 'provide', cid: theirCid })
    const c = await new Cairn(`${name}-c`).start([middle.address])
    same(theirs, c.mount(`/ipfs/${theirCid}`))
  })
  await check(`${name}: it resolves a name that cairn published`, async () => {
    const k51 = a.run('publish', cid)
    equal((await f.do({ cmd: 'resolve', name: k51 })).value, `/ipfs/${cid}`, 'value')
  })
  await check(`${name}: it follows the name of a folder that is edited, and gets each version`, async () => {
    const e = await new Cairn(`${name}-e`).start([middle.address])
    const k51 = e.run('folder', 'create', 'shared', '--from', small, '--publish')
    const dir = e.mount('shared')
    for (const version of ['first', 'second']) {
      if (version === 'second') {
        fs.writeFileSync(path.join(dir, 'new'), 'made through the mount\n')
        fs.appendFileSync(path.join(dir, 'large'), 'more')
        fs.renameSync(path.join(dir, 'two blocks'), path.join(dir, 'a', 'moved'))
        fs.rmSync(path.join(dir, 'link'))
        e.run('snapshot', 'shared')
      }
      const { root } = JSON.parse(e.run('folder', 'status', 'shared', '--json')).snapshot
      await eventually(30, 'the name has moved', async () => (await f.do({ cmd: 'resolve', name: k51 })).value === `/ipfs/${root}`)
      const to = path.join(top, `shared-${name}-${version}`)
      await f.do({ cmd: 'get', cid: root, to })
      same(dir, to)
      if (name === 'js' && !((await f.do({ cmd: 'verify' })).blocks > 40)) throw new Error('not all blocks are there')
    }
  })
  await check(`${name}: cairn resolves a name that it published`, async () => {
    const { name: k51 } = await f.do({ cmd: 'publish', cid })
    equal(a.run('resolve', k51), `/ipfs/${cid}`, 'value')
  })
  await check(`${name}: cairn mounts by a name that it published`, async () => {
    const { name: k51 } = await f.do({ cmd: 'publish', cid })
    const d = await new Cairn(`${name}-d`).start([middle.address])
    same(small, d.mount(`/ipns/${k51}`))
  })
}

// Three cairn nodes as DHT servers, and at least two foreign ones.
async function mixed (commands) {
  const hub = await new Cairn('mixed-0').start([])
  const nodes = [hub]
  for (let i = 1; i < 3; i++) nodes.push(await new Cairn(`mixed-${i}`).start([nodes[i - 1].address]))
  const foreign = []
  for (let i = 0; i < Math.max(2, commands.length); i++) {
    const f = await new Foreign(commands[i % commands.length]).start()
    await f.do({ cmd: 'connect', address: nodes[i % nodes.length].address })
    foreign.push(f)
  }
  await check('mixed: in a network of five or more, everyone finds what everyone has', async () => {
    const dir = path.join(top, 'mixed')
    for (const f of foreign) {
      const mine = path.join(dir, f.id)
      fs.mkdirSync(mine, { recursive: true })
      fs.writeFileSync(path.join(mine, 'who'), f.id)
      const { cid } = await f.do({ cmd: 'add', path: mine })
      await f.do({ cmd: 'provide', cid })
      for (const c of nodes) equal(c.run('cat', `/ipfs/${cid}/who`), f.id, 'bytes')
    }
    for (const c of nodes) {
      const mine = path.join(dir, c.id)
      fs.mkdirSync(mine, { recursive: true })
      fs.writeFileSync(path.join(mine, 'who'), c.id)
      const cid = c.run('add', '-Q', mine)
      await eventually(30, 'announced', () => c.status().provided.announced >= 1)
      for (const f of foreign) {
        const to = path.join(dir, `${c.id}-${f.id}`)
        await f.do({ cmd: 'get', cid, to })
        equal(fs.readFileSync(path.join(to, 'who'), 'utf8'), c.id, 'bytes')
      }
    }
  })
  await check('mixed: the cairn nodes serve as DHT servers, and know the foreign ones', async () => {
    await eventually(20, 'tables', () => nodes.every(c => c.status().dht.server && c.status().dht.table >= 4))
  })
  await check('mixed: a foreign node finds another through cairn nodes', async () => {
    const { addresses } = await foreign[0].do({ cmd: 'find', id: foreign[1].id })
    if (addresses.length === 0) throw new Error('no address')
  })
}

function stop () {
  for (const [node, dir] of mounts) {
    try { node.run('umount', dir) } catch { try { execFileSync('umount', ['-l', dir], { stdio: 'ignore' }) } catch {} }
  }
  for (const child of running) child.kill('SIGKILL')
  fs.rmSync(top, { recursive: true, force: true })
}
process.on('SIGINT', () => { stop(); process.exit(130) })

try {
  for (const f of families) {
    const at = f.indexOf('=')
    await family(f.slice(0, at), f.slice(at + 1))
  }
  await mixed(families.map(f => f.slice(f.indexOf('=') + 1)))
} catch (err) {
  failed++
  console.log(`not ok ${++n} - the network could be set up`)
  console.log(`# ${err.stack}`)
}
console.log(`1..${n}`)
stop()
process.exit(failed ? 1 : 0)
