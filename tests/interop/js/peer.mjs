// A Helia node that the interop suite drives: one JSON command a line on
// standard input, one JSON answer a line on standard output.
//	node peer.mjs [--listen MULTIADDR] [--prefix /ipfs/lan] [--client]
import { createHeliaLight } from 'helia'
import { withLibp2p } from '@helia/libp2p'
import { withBitswap } from '@helia/bitswap'
import { tcp } from '@libp2p/tcp'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { identify, identifyPush } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { keychain } from '@libp2p/keychain'
import { unixfs } from '@helia/unixfs'
import { ipns, ipnsValidator, ipnsSelector } from '@helia/ipns'
import { importer } from 'ipfs-unixfs-importer'
import { multiaddr } from '@multiformats/multiaddr'
import { peerIdFromString } from '@libp2p/peer-id'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import * as fs from 'node:fs'
import * as path from 'node:path'
import * as readline from 'node:readline'

const arg = (name, otherwise) => {
  const at = process.argv.indexOf(name)
  return at < 0 ? otherwise : process.argv[at + 1]
}

// No HTTP routers or gateways: what is found is found over libp2p.
const helia = withBitswap(withLibp2p(createHeliaLight(), {
  config: 'replace',
  addresses: { listen: [arg('--listen', '/ip4/127.0.0.1/tcp/0')] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  peerDiscovery: [],
  services: {
    identify: identify(),
    identifyPush: identifyPush(),
    keychain: keychain(),
    ping: ping(),
    dht: kadDHT({
      protocol: `${arg('--prefix', '/ipfs/lan')}/kad/1.0.0`,
      clientMode: process.argv.includes('--client'),
      peerInfoMapper: passthroughMapper,
      validators: { ipns: ipnsValidator },
      selectors: { ipns: ipnsSelector },
      initialQuerySelfInterval: 500
    })
  }
}))
await helia.start()
const libp2p = helia.libp2p
const files = unixfs(helia)
const names = ipns(helia)

// What a directory on disk is to the importer: files, links, empty folders.
async function * entries (dir, at) {
  for (const e of (await fs.promises.readdir(dir, { withFileTypes: true })).sort((a, b) => a.name < b.name ? -1 : 1)) {
    const full = path.join(dir, e.name)
    const name = at === '' ? e.name : `${at}/${e.name}`
    if (e.isSymbolicLink()) yield { path: name, link: await fs.promises.readlink(full) }
    else if (e.isFile()) yield { path: name, content: fs.createReadStream(full, { highWaterMark: 1048576 }) }
    else if (e.isDirectory()) {
      yield { path: name }
      yield * entries(full, name)
    }
  }
}

async function add (source, profile) {
  let root
  const stat = await fs.promises.lstat(source)
  const input = stat.isDirectory()
    ? entries(source, 'root')
    : [{ path: 'root', content: fs.createReadStream(source, { highWaterMark: 1048576 }) }]
  const all = stat.isDirectory() ? (async function * () { yield { path: 'root' }; yield * input })() : input
  for await (const e of importer(all, helia.blockstore, { profile, wrapWithDirectory: false })) root = e.cid
  return root
}

async function get (cid, to) {
  const stat = await files.stat(cid)
  if (stat.type === 'directory') {
    await fs.promises.mkdir(to, { recursive: true })
    for await (const e of files.ls(cid)) await get(e.cid, path.join(to, e.name))
  } else if (stat.unixfs?.type === 'symlink') {
    await fs.promises.symlink(Buffer.from(stat.unixfs.data).toString(), to)
  } else {
    const out = await fs.promises.open(to, 'w')
    for await (const chunk of files.cat(cid)) await out.write(chunk)
    await out.close()
  }
}

const commands = {
  id: () => ({ id: libp2p.peerId.toString(), addresses: libp2p.getMultiaddrs().map(String) }),
  connect: async ({ address }) => { await libp2p.dial(multiaddr(address)); return {} },
  add: async ({ path: source, profile }) => {
    const cid = await add(source, profile ?? 'unixfs-v1-2025')
    return { cid: cid.toString() }
  },
  provide: async ({ cid }) => { await helia.routing.provide(CID.parse(cid)); return {} },
  get: async ({ cid, to }) => { await get(CID.parse(cid), to); return {} },
  // Hash every block that is here anew.
  verify: async () => {
    let blocks = 0
    for await (const { cid, bytes } of helia.blockstore.getAll()) {
      if (cid.multihash.code !== sha256.code) continue
      const parts = []
      for await (const part of bytes) parts.push(part)
      const digest = await sha256.digest(Buffer.concat(parts))
      if (Buffer.compare(digest.digest, cid.multihash.digest) !== 0) throw new Error(`${cid} is not what its name says`)
      blocks++
    }
    return { blocks }
  },
  publish: async ({ cid }) => {
    const r = await names.publish('self-name', CID.parse(cid), { ttl: 1000 })
    return { name: r.publicKey.toCID().toString(base36) }
  },
  resolve: async ({ name }) => {
    for await (const r of names.resolve(CID.parse(name, base36), { nocache: true })) return { value: String(r.value) }
    throw new Error('no record')
  },
  ping: async ({ address }) => ({ ms: await libp2p.services.ping.ping(multiaddr(address)) }),
  find: async ({ id }) => {
    const p = await libp2p.peerRouting.findPeer(peerIdFromString(id))
    return { addresses: p.multiaddrs.map(String) }
  },
  providers: async ({ cid }) => {
    const ids = []
    for await (const p of libp2p.contentRouting.findProviders(CID.parse(cid))) ids.push(p.id.toString())
    return { ids }
  },
  known: async ({ id }) => {
    const p = await libp2p.peerStore.get(peerIdFromString(id))
    return {
      protocols: p.protocols,
      agent: new TextDecoder().decode(p.metadata.get('AgentVersion') ?? new Uint8Array()),
      certified: p.peerRecordEnvelope != null,
      inTable: await libp2p.services.dht.routingTable.find(peerIdFromString(id)) != null,
      connected: libp2p.getPeers().some(o => o.toString() === id)
    }
  }
}

const lines = readline.createInterface({ input: process.stdin })
console.log(JSON.stringify({ ready: true, ...commands.id() }))
for await (const line of lines) {
  const command = JSON.parse(line)
  try {
    const answer = await Promise.race([
      commands[command.cmd](command),
      new Promise((resolve, reject) => setTimeout(() => reject(new Error('timed out')), command.timeout ?? 60000))
    ])
    console.log(JSON.stringify(answer))
  } catch (err) {
    console.log(JSON.stringify({ error: `${err.name}: ${err.message}` }))
  }
}
await Promise.race([helia.stop(), new Promise(resolve => setTimeout(resolve, 2000))])
process.exit(0)
