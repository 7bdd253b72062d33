// Stands in for the file of this name in github.com/go-zookeeper/zk: its tests would start servers through
// ZooKeeper's scripts. Here a server is a TCP proxy, on the port that the tests chose, to the server that runs
// already (EXTERNAL_SERVER); the first one of a test empties it. Stopping one cuts its connections.
package zk

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// ServerConfigServer and ServerConfig have the fields that the tests fill in.
type ServerConfigServer struct {
	ID                 int
	Host               string
	PeerPort           int
	LeaderElectionPort int
}

type ServerConfig struct {
	TickTime                 int
	InitLimit                int
	SyncLimit                int
	DataDir                  string
	ClientPort               int
	AutoPurgeSnapRetainCount int
	AutoPurgePurgeInterval   int
	Servers                  []ServerConfigServer
}

// Marshall writes the one line that a proxy needs.
func (sc ServerConfig) Marshall(w io.Writer) error {
	_, err := fmt.Fprintf(w, "127.0.0.1:%d", sc.ClientPort)
	return err
}

type server struct {
	address  string
	listener net.Listener
	mutex    sync.Mutex
	open     map[net.Conn]bool
}

var emptied = map[string]bool{}

func NewIntegrationTestServer(t *testing.T, configPath string, stdout, stderr io.Writer) (*server, error) {
	address, err := os.ReadFile(configPath)
	if err != nil {
		return nil, err
	}
	if !emptied[t.Name()] {
		emptied[t.Name()] = true
		if err := empty(); err != nil {
			return nil, err
		}
	}
	return &server{address: string(address), open: map[net.Conn]bool{}}, nil
}

func (srv *server) Start() error {
	listener, err := net.Listen("tcp", srv.address)
	if err != nil {
		return err
	}
	srv.listener = listener
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go srv.forward(client)
		}
	}()
	return nil
}

func (srv *server) Stop() error {
	err := srv.listener.Close()
	srv.mutex.Lock()
	defer srv.mutex.Unlock()
	for conn := range srv.open {
		conn.Close()
	}
	return err
}

func (srv *server) forward(client net.Conn) {
	upstream, err := net.Dial("tcp", os.Getenv("EXTERNAL_SERVER"))
	if err != nil {
		client.Close()
		return
	}
	srv.mutex.Lock()
	srv.open[client], srv.open[upstream] = true, true
	srv.mutex.Unlock()
	done := make(chan struct{}, 2)
	pipe := func(to, from net.Conn) {
		io.Copy(to, from)
		done <- struct{}{}
	}
	go pipe(client, upstream)
	go pipe(upstream, client)
	<-done
	client.Close()
	upstream.Close()
	srv.mutex.Lock()
	delete(srv.open, client)
	delete(srv.open, upstream)
	srv.mutex.Unlock()
}

// Some tests want this from the file that is replaced: returns once there is a session.
func waitForSession(ctx context.Context, events <-chan Event) error {
	for {
		select {
		case event, isOpen := <-events:
			if !isOpen {
				return fmt.Errorf("the connection ended without a session")
			}
			if event.State == StateHasSession {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func isUp(addresses []string) bool {
	for _, isOk := range FLWRuok(addresses, time.Second) {
		if !isOk {
			return false
		}
	}
	return true
}

// What a test takes for a new server has nothing in it.
func empty() error {
	zk, _, err := Connect([]string{os.Getenv("EXTERNAL_SERVER")}, 15*time.Second, WithLogInfo(false))
	if err != nil {
		return err
	}
	defer zk.Close()
	if err := zk.AddAuth("digest", []byte("super:test")); err != nil {
		return err
	}
	return deleteBelow(zk, "")
}

func deleteBelow(zk *Conn, path string) error {
	names, _, err := zk.Children("/" + strings.TrimPrefix(path, "/"))
	if err == ErrNoNode {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		child := path + "/" + name
		if child == "/zookeeper" {
			continue
		}
		if err := deleteBelow(zk, child); err != nil {
			return err
		}
		if err := zk.Delete(child, -1); err != nil && err != ErrNoNode {
			return err
		}
	}
	return nil
}
