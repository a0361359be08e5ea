// A node made of go-libp2p, go-libp2p-kad-dht and boxo, what Kubo is made of,
// that the interop suite drives: one JSON command a line on standard input, one
// JSON answer a line on standard output.
//
//	peer [--listen MULTIADDR] [--client]
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ipfs/boxo/bitswap"
	bsnet "github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/files"
	"github.com/ipfs/boxo/ipld/merkledag"
	ufile "github.com/ipfs/boxo/ipld/unixfs/file"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/ipld/go-car/v2"
	_ "github.com/ipld/go-codec-dagpb"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/ipld/go-ipld-prime/linking"
	_ "github.com/ipld/go-ipld-prime/codec/raw"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	selectorparse "github.com/ipld/go-ipld-prime/traversal/selector/parse"
	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-multihash"
)

type node struct {
	host  host.Host
	dht   *dht.IpfsDHT
	dag   ipld.DAGService
	pings *ping.PingService
	key   crypto.PrivKey
	seq   uint64
}

type command struct {
	Cmd, Address, Path, Cid, To, Name, ID string
}

var builder = cid.V1Builder{Codec: uint64(multicodec.DagPb), MhType: multihash.SHA2_256}

// The profile unixfs-v1-2025.
func (n *node) addFile(r io.Reader) (ipld.Node, error) {
	params := helpers.DagBuilderParams{Dagserv: n.dag, RawLeaves: true, Maxlinks: 1024, CidBuilder: builder}
	b, err := params.New(chunk.NewSizeSplitter(r, 1<<20))
	if err != nil {
		return nil, err
	}
	return balanced.Layout(b)
}

func (n *node) add(ctx context.Context, p string) (ipld.Node, error) {
	st, err := os.Lstat(p)
	if err != nil {
		return nil, err
	}
	if st.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(p)
		if err != nil {
			return nil, err
		}
		data, err := unixfs.SymlinkData(target)
		if err != nil {
			return nil, err
		}
		nd := merkledag.NodeWithData(data)
		if err := nd.SetCidBuilder(builder); err != nil {
			return nil, err
		}
		return nd, n.dag.Add(ctx, nd)
	}
	if !st.IsDir() {
		f, err := os.Open(p)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return n.addFile(f)
	}
	dir, err := uio.NewDirectory(n.dag, uio.WithCidBuilder(builder))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(p)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		child, err := n.add(ctx, filepath.Join(p, e.Name()))
		if err != nil {
			return nil, err
		}
		if err := dir.AddChild(ctx, e.Name(), child); err != nil {
			return nil, err
		}
	}
	nd, err := dir.GetNode()
	if err != nil {
		return nil, err
	}
	return nd, n.dag.Add(ctx, nd)
}

func (n *node) get(ctx context.Context, c cid.Cid, to string) error {
	session := merkledag.NewSession(ctx, n.dag)
	nd, err := session.Get(ctx, c)
	if err != nil {
		return err
	}
	f, err := ufile.NewUnixfsFile(ctx, merkledag.NewReadOnlyDagService(session), nd)
	if err != nil {
		return err
	}
	defer f.Close()
	return files.WriteTo(f, to)
}

// As Kubo's `dag export`: CAR v1, depth first, each block once.
func (n *node) car(ctx context.Context, c cid.Cid, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	links := cidlink.DefaultLinkSystem()
	links.TrustedStorage = true
	links.StorageReadOpener = func(lc linking.LinkContext, l datamodel.Link) (io.Reader, error) {
		nd, err := n.dag.Get(ctx, l.(cidlink.Link).Cid)
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(nd.RawData()), nil
	}
	_, err = car.TraverseV1(ctx, &links, c, selectorparse.CommonSelector_ExploreAllRecursively, out)
	return err
}

func (n *node) run(ctx context.Context, c command) (any, error) {
	switch c.Cmd {
	case "id":
		return n.id(), nil
	case "connect":
		info, err := peer.AddrInfoFromString(c.Address)
		if err != nil {
			return nil, err
		}
		return map[string]any{}, n.host.Connect(ctx, *info)
	case "add":
		nd, err := n.add(ctx, c.Path)
		if err != nil {
			return nil, err
		}
		return map[string]any{"cid": nd.Cid().String()}, nil
	case "provide":
		k, err := cid.Decode(c.Cid)
		if err != nil {
			return nil, err
		}
		return map[string]any{}, n.dht.Provide(ctx, k, true)
	case "get":
		k, err := cid.Decode(c.Cid)
		if err != nil {
			return nil, err
		}
		return map[string]any{}, n.get(ctx, k, c.To)
	case "car":
		k, err := cid.Decode(c.Cid)
		if err != nil {
			return nil, err
		}
		return map[string]any{}, n.car(ctx, k, c.To)
	case "publish":
		k, err := cid.Decode(c.Cid)
		if err != nil {
			return nil, err
		}
		n.seq++
		rec, err := ipns.NewRecord(n.key, path.FromCid(k), n.seq, time.Now().Add(48*time.Hour), time.Second)
		if err != nil {
			return nil, err
		}
		data, err := ipns.MarshalRecord(rec)
		if err != nil {
			return nil, err
		}
		name := ipns.NameFromPeer(n.host.ID())
		return map[string]any{"name": name.String()}, n.dht.PutValue(ctx, string(name.RoutingKey()), data)
	case "resolve":
		name, err := ipns.NameFromString(c.Name)
		if err != nil {
			return nil, err
		}
		data, err := n.dht.GetValue(ctx, string(name.RoutingKey()))
		if err != nil {
			return nil, err
		}
		rec, err := ipns.UnmarshalRecord(data)
		if err != nil {
			return nil, err
		}
		value, err := rec.Value()
		if err != nil {
			return nil, err
		}
		return map[string]any{"value": value.String()}, nil
	case "ping":
		info, err := peer.AddrInfoFromString(c.Address)
		if err != nil {
			return nil, err
		}
		r := <-n.pings.Ping(ctx, info.ID)
		return map[string]any{"ms": float64(r.RTT.Microseconds()) / 1000}, r.Error
	case "find":
		id, err := peer.Decode(c.ID)
		if err != nil {
			return nil, err
		}
		info, err := n.dht.FindPeer(ctx, id)
		if err != nil {
			return nil, err
		}
		return map[string]any{"addresses": texts(info.Addrs)}, nil
	case "providers":
		k, err := cid.Decode(c.Cid)
		if err != nil {
			return nil, err
		}
		ids := []string{}
		for p := range n.dht.FindProvidersAsync(ctx, k, 20) {
			ids = append(ids, p.ID.String())
		}
		return map[string]any{"ids": ids}, nil
	case "known":
		id, err := peer.Decode(c.ID)
		if err != nil {
			return nil, err
		}
		protocols, err := n.host.Peerstore().GetProtocols(id)
		if err != nil {
			return nil, err
		}
		agent, _ := n.host.Peerstore().Get(id, "AgentVersion")
		return map[string]any{
			"protocols": protocols,
			"agent":     fmt.Sprint(agent),
			"inTable":   n.dht.RoutingTable().Find(id) != "",
			"connected": n.host.Network().Connectedness(id) == network.Connected,
		}, nil
	}
	return nil, errors.New("unknown command")
}

func texts(list []multiaddr.Multiaddr) []string {
	out := []string{}
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

func (n *node) id() map[string]any {
	out := []string{}
	for _, a := range n.host.Addrs() {
		out = append(out, a.String()+"/p2p/"+n.host.ID().String())
	}
	return map[string]any{"ready": true, "id": n.host.ID().String(), "addresses": out}
}

func start(ctx context.Context, listen string, client bool) (*node, error) {
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings(listen), libp2p.DisableRelay())
	if err != nil {
		return nil, err
	}
	mode := dht.ModeServer
	if client {
		mode = dht.ModeClient
	}
	d, err := dht.New(h, dht.Mode(mode), dht.ProtocolPrefix("/ipfs"), dht.ProtocolExtension("/lan"),
		dht.NamespacedValidator("ipns", ipns.Validator{KeyBook: h.Peerstore()}))
	if err != nil {
		return nil, err
	}
	bs := blockstore.NewBlockstore(dssync.MutexWrap(datastore.NewMapDatastore()))
	ex := bitswap.New(ctx, bsnet.NewFromIpfsHost(h), d, bs)
	return &node{host: h, dht: d, dag: merkledag.NewDAGService(blockservice.New(bs, ex)), pings: ping.NewPingService(h), key: key}, nil
}

func main() {
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "where to listen")
	client := flag.Bool("client", false, "be a DHT client")
	flag.Parse()
	ctx := context.Background()
	n, err := start(ctx, *listen, *client)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(n.id())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var c command
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			out.Encode(map[string]any{"error": err.Error()})
			continue
		}
		limit, cancel := context.WithTimeout(ctx, time.Minute)
		answer, err := n.run(limit, c)
		cancel()
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		out.Encode(answer)
	}
	n.host.Close()
}
