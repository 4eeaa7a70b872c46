// Counts how often each thing sent to it was applied, whatever way it came, and hands it on to the peer it is told of.
ruleset test.ledger {
  meta {
    name "Ledger"
    shares taken, pair, delivered
  }

  global {
    taken = function() { ent:taken.defaultsTo({}) }
    pair = function() {
      {
        "left": ent:left.defaultsTo(0),
        "right": ent:right.defaultsTo(0),
        "first": ent:first.defaultsTo(""),
        "second": ent:second.defaultsTo("")
      }
    }
    delivered = function() { ent:delivered.defaultsTo({}) }
  }

  rule take {
    select when ledger put id re#(.+)# setting(id)
    always {
      ent:left := ent:left.defaultsTo(0) + 1;
      ent:first := id;
      ent:taken{id} := taken(){id}.defaultsTo(0) + 1;
      ent:right := ent:right.defaultsTo(0) + 1;
      ent:second := id
    }
  }

  rule take_message {
    select when didcomm_basicmessage message
    fired {
      raise ledger event "put" attributes {"id": event:attrs{["body", "content"]}}
    }
  }

  rule hand_on {
    select when ledger put peer re#(.+)# id re#(.+)# setting(peer, id)
    connection:event(peer, "ledger", "put", {"id": id})
  }

  rule note_delivered {
    select when didcomm message_delivered id re#(.+)# setting(id)
    always {
      ent:delivered{id} := true
    }
  }
}
