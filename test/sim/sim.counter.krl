ruleset sim.counter {
  meta {
    description "Counts what it sends, what it gets and what comes back: two variables by every rule."
    share tally
  }
  global {
    tally = function() {
      {
        "sent": ent:sent.defaultsTo([]), "sentCount": ent:sentCount.defaultsTo(0),
        "got": ent:got.defaultsTo([]), "gotCount": ent:gotCount.defaultsTo(0),
        "back": ent:back.defaultsTo([]), "backCount": ent:backCount.defaultsTo(0)
      }
    }
  }
  rule send {
    select when sim:send n re#^(.+)$# connection re#^(.+)$# setting(n, to)
    connection:event(to, "sim", "ping", {"n": n})
    fired {
      ent:sent := ent:sent.defaultsTo([]).append(n)
      ent:sentCount := ent:sentCount.defaultsTo(0) + 1
    }
  }
  rule ping {
    select when sim:ping n re#^(.+)$# setting(n)
    connection:event(event:attrs{"_connectionId"}, "sim", "pong", {"n": n})
    fired {
      ent:got := ent:got.defaultsTo([]).append(n)
      ent:gotCount := ent:gotCount.defaultsTo(0) + 1
    }
  }
  rule pong {
    select when sim:pong n re#^(.+)$# setting(n)
    fired {
      ent:back := ent:back.defaultsTo([]).append(n)
      ent:backCount := ent:backCount.defaultsTo(0) + 1
    }
  }
}
