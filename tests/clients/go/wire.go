package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire sends single requests in any version, as the suite writes them, and says what comes back:
// the response, or that the broker has closed the connection.
type wire struct {
	bootstrap string
	format    *kmsg.RequestFormatter
}

func newWire(bootstrap string) *wire {
	return &wire{bootstrap, kmsg.NewRequestFormatter(kmsg.FormatterClientID("wire"))}
}

// ask sends a request over a connection of its own; fields that the body leaves out have their
// defaults.
func (w *wire) ask(r request) (any, error) {
	ask := kmsg.RequestForKey(r.Key)
	if ask == nil {
		return nil, fmt.Errorf("no API %d", r.Key)
	}
	ask.SetVersion(r.Version)
	fill(reflect.ValueOf(ask).Elem(), r.Body)
	conn, err := net.DialTimeout("tcp", w.bootstrap, requestTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	answer := ask.ResponseKind()
	answer.SetVersion(r.Version)
	err = exchange(conn, w.format.AppendRequest(nil, ask, 1), answer)
	if errors.Is(err, io.EOF) {
		return "closed", nil
	}
	return answer, err
}

func exchange(conn io.ReadWriter, frame []byte, answer kmsg.Response) error {
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	var head [8]byte // size and correlation id
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return err
	}
	const apiVersions = 18
	if answer.IsFlexible() && answer.Key() != apiVersions {
		body = body[1:] // no tagged fields
	}
	return answer.ReadFrom(body)
}

// fill puts what JSON says into a field, whatever type of number or text it has: kmsg's own
// enumerations refuse numbers that they do not know. Ids and bytes are base64. A field that does
// not exist, and a value of the wrong kind, are a mistake of the suite's and panic.
func fill(field reflect.Value, value any) {
	switch value := value.(type) {
	case nil:
		field.SetZero()
	case bool:
		field.SetBool(value)
	case float64:
		field.SetInt(int64(value))
	case string:
		fillText(field, value)
	case []any:
		list := reflect.MakeSlice(field.Type(), len(value), len(value))
		for i, element := range value {
			fill(list.Index(i), element)
		}
		field.Set(list)
	case map[string]any:
		if defaults, ok := field.Addr().Interface().(interface{ Default() }); ok {
			defaults.Default()
		}
		for name, inner := range value {
			fill(field.FieldByName(name), inner)
		}
	}
}

func fillText(field reflect.Value, text string) {
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Pointer:
		field.Set(reflect.ValueOf(&text))
	default:
		bytes, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			panic(err)
		}
		if field.Kind() == reflect.Array {
			reflect.Copy(field, reflect.ValueOf(bytes))
		} else {
			field.SetBytes(bytes)
		}
	}
}
