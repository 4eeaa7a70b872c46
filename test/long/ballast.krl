// Makes a pico as heavy as a test wants it, so that its move takes its time.
ruleset test.ballast {
  meta {
    name "Ballast"
    shares weight
  }

  global {
    weight = function() { ent:load.defaultsTo({}).map(function(data) { data.length() }) }
  }

  rule load {
    select when ballast load n re#(.+)# setting(n)
    always {
      ent:load{n} := event:attrs{"data"}
    }
  }
}
